#include "verbs/qmp_client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"

namespace nandu {

Result<UniqueFd> ConnectTo(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    return FailErrno(errno, "socket");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(Errc::kInvalidArgument, "{} is too long for a socket's path", path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return FailErrno(errno, "cannot connect to {}", path);
  }
  return fd;
}

Result<QmpClient> QmpClient::Connect(const std::string& path, int timeout_ms) {
  QmpClient client(TRY(ConnectTo(path)), timeout_ms);
  TRY(client.ReadMessage());  // the greeting
  TRY(client.Execute("qmp_capabilities"));
  return client;
}

Result<boost::json::value> QmpClient::Execute(std::string_view command, boost::json::object arguments) {
  boost::json::object request{{"execute", command}};
  if (!arguments.empty()) {
    request["arguments"] = std::move(arguments);
  }
  boost::json::value answer = TRY(Send(JsonText(request)));
  const boost::json::object& object = answer.as_object();
  if (const boost::json::value* error = object.if_contains("error")) {
    const boost::json::value* text = error->is_object() ? error->as_object().if_contains("desc") : nullptr;
    return Fail(Errc::kIo, "{}: {}", command,
                text != nullptr && text->is_string() ? std::string_view(text->as_string()) : "it failed");
  }
  return object.at("return");
}

Result<boost::json::value> QmpClient::Send(std::string_view line) {
  std::string text(line);
  text += "\n";
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t done = ::send(socket_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (done < 0 && errno != EINTR) {
      return FailErrno(errno, "cannot write to the monitor");
    }
    sent += done > 0 ? static_cast<size_t>(done) : 0;
  }
  while (true) {
    boost::json::value message = TRY(ReadMessage());
    const bool answer = message.is_object() &&
                        (message.as_object().contains("return") || message.as_object().contains("error"));
    if (answer) {
      return message;
    }
  }
}

Result<boost::json::value> QmpClient::ReadMessage() {
  while (true) {
    if (const size_t end = received_.find('\n'); end != std::string::npos) {
      const std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return ParseJson(line);
    }
    switch (ReadSome(timeout_ms_)) {
      case Reading::kSome: break;
      case Reading::kEnd: return Fail(Errc::kIo, "the VM ended");
      case Reading::kTimeout:
        return Fail(Errc::kIo, "the monitor does not answer for {} s", timeout_ms_ / 1000);
    }
  }
}

QmpClient::Reading QmpClient::ReadSome(int timeout_ms) {
  pollfd ready{socket_.get(), POLLIN, 0};
  if (const int polled = ::poll(&ready, 1, timeout_ms); polled == 0) {
    return Reading::kTimeout;
  }
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(socket_.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) {
    return Reading::kSome;
  }
  if (got <= 0) {
    return Reading::kEnd;
  }
  received_.append(buffer.data(), static_cast<size_t>(got));
  return Reading::kSome;
}

bool QmpClient::WaitForEnd(int timeout_ms) {
  const int64_t until_ns = MonotonicNs() + int64_t{timeout_ms} * 1'000'000;
  while (true) {
    const int64_t left_ms = (until_ns - MonotonicNs()) / 1'000'000;
    if (left_ms <= 0) {
      return false;
    }
    if (ReadSome(static_cast<int>(left_ms)) == Reading::kEnd) {
      return true;
    }
    received_.clear();
  }
}

}  // namespace nandu
