// The operator's log: events somebody acts on, on stderr (colours only on a terminal) or in -D's file. spdlog sits
// behind log.cpp. Any thread. A guest can never cause more than one line a second per device: see RateLimitedLog.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace nandu {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

void SetLogLevel(LogLevel level);                 // default: kWarning; what a user asked for is quiet when it works
Result<> SetLogFile(const std::string& path);     // -D FILE: appends there instead of stderr
bool LogEnabled(LogLevel level);
void LogText(LogLevel level, std::string_view text);

template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> text, const Args&... args) {
  if (LogEnabled(level)) {
    LogText(level, Format(text, args...));
  }
}

// One line a second at most; what was left out is counted and said with the next line.
class RateLimitedLog {
 public:
  explicit RateLimitedLog(std::string subject) : subject_(std::move(subject)) {}
  template <class... Args>
  void Warn(fmt::format_string<Args...> text, const Args&... args) {
    if (Admit()) {
      Emit(Format(text, args...));
    }
  }

 private:
  bool Admit();
  void Emit(const std::string& text);

  const std::string subject_;  // "virtio-blk 00:02.0"
  std::atomic<int64_t> next_ns_{0};
  std::atomic<uint64_t> dropped_{0};
};

}  // namespace nandu
