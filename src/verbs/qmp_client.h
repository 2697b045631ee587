// A VM's monitor from outside: one command after the other over its socket. Blocks; one thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

// A stream socket that is connected to the one at `path`.
Result<UniqueFd> ConnectTo(const std::string& path);

class QmpClient {
 public:
  // Waits up to `timeout_ms` for each answer.
  static Result<QmpClient> Connect(const std::string& path, int timeout_ms = 20'000);

  // What the command returned; the sentence of its error.
  Result<boost::json::value> Execute(std::string_view command, boost::json::object arguments = {});
  // The whole answer to a command written in JSON.
  Result<boost::json::value> Send(std::string_view line);
  // Until the monitor closes: the VM is gone. False after `timeout_ms`.
  bool WaitForEnd(int timeout_ms);

 private:
  QmpClient(UniqueFd socket, int timeout_ms) : socket_(std::move(socket)), timeout_ms_(timeout_ms) {}
  Result<boost::json::value> ReadMessage();
  enum class Reading : uint8_t { kSome, kEnd, kTimeout };
  Reading ReadSome(int timeout_ms);

  UniqueFd socket_;
  int timeout_ms_;
  std::string received_;
};

}  // namespace nandu
