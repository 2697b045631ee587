#include "qmp/server.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "base/check.h"
#include "qmp/capabilities.h"
#include "qmp/schema.h"

namespace nandu {

namespace json = boost::json;

struct CommandName {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(CommandName, (), (name))

QmpServer::QmpServer(VersionInfo version, std::function<int64_t()> realtime_ns,
                     EventThrottle::MakeTimer make_timer)
    : version_(std::move(version)),
      realtime_ns_(std::move(realtime_ns)),
      throttle_(std::move(make_timer), [this](const json::value& event) { Send(event); }) {
  // Sessions answer this one themselves; it is here for the lists.
  registry_.Bind<CapabilitiesArgs, Nothing>(
      kCapabilitiesCommand, [](const CapabilitiesArgs&, Reply<Nothing> reply) {
        reply.Fail(QmpErrorClass::kCommandNotFound, "capabilities have been negotiated already");
      });
  registry_.Bind<Nothing, std::vector<CommandName>>(
      "query-commands", [this](Nothing, Reply<std::vector<CommandName>> reply) {
        std::vector<CommandName> names;
        for (const auto& [name, command] : registry_.commands()) {
          names.push_back({name});
        }
        reply.Return(names);
      });
  registry_.Bind<Nothing, std::vector<json::value>>("query-qmp-schema",
                                                    [this](Nothing, Reply<std::vector<json::value>> reply) {
                                                      json::array schema = QmpSchema(registry_);
                                                      std::vector<json::value> entries;
                                                      for (json::value& entry : schema) {
                                                        entries.push_back(std::move(entry));
                                                      }
                                                      reply.Return(entries);
                                                    });
}

Result<> QmpServer::AddSession(std::shared_ptr<Chardev> chardev, bool pretty) {
  const std::string id = chardev->id();
  auto session = std::make_unique<QmpSession>(
      registry_, std::move(chardev), QmpSessionOptions{.pretty = pretty, .version = version_, .limits = {}});
  TRY(Prefix(session->Start(), Format("monitor on chardev '{}'", id)));
  sessions_.push_back(std::move(session));
  return {};
}

void QmpServer::Emit(std::string_view event, const json::object& data) {
  const auto declared = registry_.events().find(event);
  NANDU_CHECK(declared != registry_.events().end(), "an event is declared before it is emitted");
  const int64_t now_us = realtime_ns_() / 1000;
  json::object line;
  line["timestamp"] = json::object{{"seconds", now_us / 1'000'000}, {"microseconds", now_us % 1'000'000}};
  line["event"] = event;
  if (!data.empty()) {
    line["data"] = data;
  }
  const int64_t interval_ns = declared->second.traits.min_interval_ns;
  if (interval_ns == 0) {
    Send(std::move(line));
  } else {
    throttle_.Emit(event, interval_ns, std::move(line));
  }
}

void QmpServer::Send(const json::value& event) {
  for (const std::unique_ptr<QmpSession>& session : sessions_) {
    session->SendEvent(event);
  }
}

}  // namespace nandu
