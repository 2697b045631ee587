#include "qmp/session.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <deque>
#include <utility>

#include "base/json.h"
#include "base/trace.h"
#include "qmp/capabilities.h"
#include "qmp/monitor_output.h"
#include "qmp/request.h"
#include "qmp/splitter.h"

namespace nandu {

namespace json = boost::json;

namespace {
constexpr size_t kReadBytes = size_t{64} << 10;  // of input not yet cut into commands
}  // namespace

struct QmpSession::Request : QmpRequest {
  bool overtakes = false;  // runs beside the one command that runs in order
};

// What one client is owed; a new one per connection, so that late answers to an earlier one find nobody.
struct QmpSession::Client {
  Client(QmpSession& session, Chardev& chardev)
      : splitter(session.options_.limits.max_command_bytes),
        output(chardev, session.options_.limits.max_answer_bytes_waiting, [&session] {
          const ClientPtr client = session.client_;  // kept alive: running may drop it
          session.RunCommands(client);
        }) {}

  JsonSplitter splitter;
  MonitorOutput output;
  std::deque<Request> waiting;
  bool negotiated = false;
  bool oob = false;
  bool running = false;       // a command is not answered yet
  bool in_data = false;       // the chardev asks for room again by itself
  bool in_run = false;        // RunCommands is on the stack
  bool input_paused = false;  // Room answered 0: the chardev waits for AcceptInput
};

QmpSession::QmpSession(const QmpRegistry& registry, std::shared_ptr<Chardev> chardev,
                       QmpSessionOptions options)
    : registry_(registry),
      chardev_(std::move(chardev)),
      options_(std::move(options)),
      log_("monitor " + chardev_->id()) {}

QmpSession::~QmpSession() {
  client_.reset();
  if (attached_) {
    chardev_->Detach();
  }
}

Result<> QmpSession::Start() {
  Chardev::FrontEnd front_end;
  front_end.room = [this] { return Room(); };
  front_end.data = [this](std::span<const std::byte> bytes) { OnData(bytes); };
  front_end.connection = [this](bool open) { OnConnection(open); };
  TRY(chardev_->Attach(std::move(front_end)));
  attached_ = true;
  return {};
}

void QmpSession::OnConnection(bool open) {
  client_.reset();
  if (!open) {
    return;
  }
  const ClientPtr client = std::make_shared<Client>(*this, *chardev_);
  client_ = client;
  json::object greeting;
  greeting["version"] = ToJson(TypeOf<VersionInfo>(), &options_.version);
  greeting["capabilities"] = json::array{EnumText(QmpCapability::kOob)};
  Put(client, json::object{{"QMP", std::move(greeting)}});
}

void QmpSession::DropClient() {
  clients_dropped_.Add(1);
  log_.Warn("a client that does not read its answers is disconnected");
  client_.reset();
  chardev_->DropPeer();
}

// ---- input ----

size_t QmpSession::Room() const {
  if (!client_) {
    return kReadBytes;  // read and thrown away
  }
  const bool full =
      client_->waiting.size() >= options_.limits.max_commands_waiting || client_->splitter.has_more();
  client_->input_paused = full;
  return full ? 0 : kReadBytes;
}

void QmpSession::OnData(std::span<const std::byte> bytes) {
  const ClientPtr client = client_;
  if (!client) {
    return;
  }
  client->in_data = true;
  client->splitter.Append(bytes);
  ReadCommands(client);
  RunCommands(client);
  client->in_data = false;
}

void QmpSession::ReadCommands(const ClientPtr& client) {
  while (client == client_ && client->waiting.size() < options_.limits.max_commands_waiting) {
    std::optional<JsonSplitter::Text> text = client->splitter.Next();
    if (!text) {
      return;
    }
    Request request;
    if (text->refusal.empty()) {
      static_cast<QmpRequest&>(request) =
          ParseQmpRequest(text->json, options_.limits.max_command_bytes, client->oob);
    } else {
      request.failure = QmpFailure{QmpErrorClass::kGenericError, std::move(text->refusal)};
    }
    request.overtakes = request.out_of_band && !request.failure;
    if (request.overtakes) {
      Run(client, request);
    } else {
      client->waiting.push_back(std::move(request));
    }
  }
}

void QmpSession::RunCommands(const ClientPtr& client) {
  if (client->in_run) {
    return;  // the loop below goes on
  }
  client->in_run = true;
  while (client == client_ && !client->running && !client->waiting.empty() &&
         client->output.waiting_bytes() <= options_.limits.max_answer_bytes_before_next_command) {
    const Request request = std::move(client->waiting.front());
    client->waiting.pop_front();
    client->running = true;
    Run(client, request);
    ReadCommands(client);
  }
  client->in_run = false;
  if (client == client_ && !client->in_data && client->input_paused && Room() > 0) {
    chardev_->AcceptInput();
  }
}

// ---- commands ----

void QmpSession::Run(const ClientPtr& client, const Request& request) {
  if (request.failure) {
    Refuse(client, request, *request.failure);
    return;
  }
  Trace(TraceEvent::kQmpCommand, "{}", request.command);
  if (request.command == kCapabilitiesCommand) {
    Negotiate(client, request);
    return;
  }
  if (!client->negotiated) {
    Refuse(client, request,
           {QmpErrorClass::kCommandNotFound,
            Format("capabilities are negotiated first: send '{}'", kCapabilitiesCommand)});
    return;
  }
  const QmpCommand* command = registry_.Find(request.command);
  if (command == nullptr) {
    Refuse(
        client, request,
        {QmpErrorClass::kCommandNotFound, Format("there is no command '{}'", request.command.substr(0, 64))});
    return;
  }
  if (request.out_of_band && !command->traits.allow_oob) {
    Refuse(client, request,
           {QmpErrorClass::kGenericError, Format("'{}' cannot overtake: use 'execute'", request.command)});
    return;
  }
  // The session outlives its clients, and the weak pointer both: a session that is gone has let its client
  // go.
  Request head;
  head.id = request.id;
  head.overtakes = request.overtakes;
  PendingReply reply([this, head, weak = std::weak_ptr(client)](const QmpAnswer& answer) {
    if (const ClientPtr owner = weak.lock()) {
      Answer(owner, head, answer);
    }
  });
  command->run(request.arguments, std::move(reply));
}

void QmpSession::Negotiate(const ClientPtr& client, const Request& request) {
  if (client->negotiated) {
    Refuse(client, request, {QmpErrorClass::kCommandNotFound, "capabilities have been negotiated already"});
    return;
  }
  const Result<CapabilitiesArgs> arguments =
      FromJson<CapabilitiesArgs>(request.arguments, {.path = "arguments", .absent = AbsentFields::kRefuse});
  if (!arguments) {
    Refuse(client, request, {QmpErrorClass::kGenericError, arguments.error().message});
    return;
  }
  client->negotiated = true;
  client->oob = arguments->enable && !arguments->enable->empty();
  const Nothing nothing;
  Answer(client, request, {&TypeOf<Nothing>(), &nothing, nullptr});
}

void QmpSession::Refuse(const ClientPtr& client, const Request& request, QmpFailure failure) {
  Answer(client, request, {nullptr, nullptr, &failure});
}

void QmpSession::Answer(const ClientPtr& client, const Request& request, const QmpAnswer& answer) {
  if (client != client_) {
    return;
  }
  json::object line;
  if (answer.failure == nullptr) {
    line["return"] = ToJson(*answer.type, answer.value);
  } else {
    line["error"] =
        json::object{{"class", EnumText(answer.failure->error_class)}, {"desc", answer.failure->description}};
  }
  if (request.id) {
    line["id"] = *request.id;
  }
  if (!request.overtakes) {
    client->running = false;
  }
  Put(client, line);
  RunCommands(client);
}

// ---- output ----

void QmpSession::SendEvent(const json::value& event) {
  const ClientPtr client = client_;
  if (client && client->negotiated) {
    Put(client, event);
  }
}

void QmpSession::Put(const ClientPtr& client, const json::value& line) {
  std::string text;
  if (options_.pretty) {
    for (const char c : PrettyJsonText(line)) {
      text += c == '\n' ? "\r\n" : std::string(1, c);
    }
  } else {
    text = JsonText(line);
  }
  text += "\r\n";
  if (!client->output.Put(text) && client == client_) {
    DropClient();
  }
}

}  // namespace nandu
