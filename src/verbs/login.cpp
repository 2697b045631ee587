#include "verbs/login.h"

#include <cstdlib>

#include "base/format.h"

namespace nandu {
namespace {

// Written in two parts, so that the echo of the command line is not taken for them.
constexpr std::string_view kBegin = "NANDU-COMMAND-BEGIN";
constexpr std::string_view kEnd = "NANDU-COMMAND-END";
constexpr size_t kMostSeenBytes = size_t{4} << 20;

std::string_view WithoutSpaces(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// "user@host:~$ ", "# ", also with the escape sequences that end a coloured prompt.
bool EndsInPrompt(std::string_view text) {
  for (size_t at = text.rfind('\x1b'); at != std::string_view::npos && at + 12 > text.size();
       at = text.rfind('\x1b')) {
    text = text.substr(0, at);
  }
  const std::string_view line = WithoutSpaces(text);
  return !line.empty() && line.size() < text.size() &&
         (line.back() == '$' || line.back() == '#' || line.back() == '%');
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

}  // namespace

std::string LoginSession::Feed(std::string_view text) {
  seen_ += text;
  if (seen_.size() > kMostSeenBytes) {
    seen_.erase(0, seen_.size() / 2);
  }
  switch (state_) {
    case State::kUser:
      if (WithoutSpaces(seen_).ends_with("login:")) {
        state_ = State::kPassword;
        seen_.clear();
        return user_ + "\n";
      }
      return {};
    case State::kPassword:
      if (WithoutSpaces(seen_).ends_with("assword:")) {
        state_ = State::kPrompt;
        seen_.clear();
        return password_ + "\n";
      }
      return {};
    case State::kPrompt:
      // The user may not have been made yet.
      if (seen_.find("incorrect") != std::string::npos) {
        state_ = State::kUser;
        return {};
      }
      if (EndsInPrompt(seen_)) {
        state_ = State::kCommand;
        seen_.clear();
        return Format(
            "command -v cloud-init > /dev/null && cloud-init status --wait > /dev/null 2>&1; printf "
            "'\\n%s%s\\n' NANDU-COMMAND -BEGIN; "
            "sh -c {}; printf '\\n%s%s %d\\n' NANDU-COMMAND -END $?\n",
            Quoted(command_));
      }
      return {};
    case State::kCommand: TakeResult(); return {};
    case State::kDone: return {};
  }
  return {};
}

void LoginSession::TakeResult() {
  const size_t end = seen_.find(kEnd);
  if (end == std::string::npos || seen_.find('\n', end) == std::string::npos) {
    return;
  }
  status_ = std::atoi(seen_.c_str() + end + kEnd.size());
  size_t begin = seen_.find(kBegin);
  begin = begin == std::string::npos ? 0 : seen_.find('\n', begin) + 1;
  for (const char c : std::string_view(seen_).substr(begin, end - begin)) {
    if (c != '\r') {
      output_ += c;
    }
  }
  if (output_.ends_with("\n")) {
    output_.pop_back();  // of the marker's own line
  }
  state_ = State::kDone;
}

std::string_view LoginSession::what_is_missing() const {
  switch (state_) {
    case State::kUser: return "a login prompt that takes the user";
    case State::kPassword: return "a password prompt";
    case State::kPrompt: return "a shell's prompt";
    case State::kCommand: return "the end of the command";
    case State::kDone: break;
  }
  return "nothing";
}

}  // namespace nandu
