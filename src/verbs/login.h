// Logs in on a serial console and runs one command there. Pure: it is fed what the console prints and says
// what to type.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nandu {

class LoginSession {
 public:
  LoginSession(std::string user, std::string password, std::string command)
      : user_(std::move(user)), password_(std::move(password)), command_(std::move(command)) {}

  // What to type now; mostly nothing. The first call may be with what stood there before.
  std::string Feed(std::string_view text);
  // The command's exit status, once it ended.
  const std::optional<int>& status() const { return status_; }
  const std::string& output() const { return output_; }  // what the command printed
  std::string_view what_is_missing() const;  // "its password prompt"; where a session that hangs was

 private:
  enum class State : uint8_t { kUser, kPassword, kPrompt, kCommand, kDone };
  void TakeResult();
  const std::string user_, password_, command_;
  State state_ = State::kUser;
  std::string seen_;  // since the last thing typed
  std::optional<int> status_;
  std::string output_;
};

}  // namespace nandu
