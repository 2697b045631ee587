#include "base/log.h"

#include <ctime>
#include <fcntl.h>
#include <memory>
#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include "base/log_style.h"
#include "base/time.h"

namespace nandu {
namespace {

std::atomic<LogLevel> level_now{LogLevel::kWarning};
constinit bool with_timestamp = false;
constinit bool to_file = false;
constinit std::atomic<bool> no_limit{false};

std::string& GuestName() {
  static std::string name;  // made by who asks first, not at start
  return name;
}

std::string StderrPattern() {
  std::string name;
  for (const char c : GuestName()) {
    name += c == '%' ? std::string("%%") : std::string(1, c);
  }
  return Format("{}{}{}nandu: %^%l%$: %v", with_timestamp ? "%Y-%m-%dT%H:%M:%S.%fZ " : "", name,
                name.empty() ? "" : " ");
}

std::shared_ptr<spdlog::logger> MakeStderrLogger() {
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("nandu", std::move(sink));
  logger->set_pattern(StderrPattern(), spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::warn);
  return logger;
}

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger = MakeStderrLogger();  // made by the first line, not at start
  return logger;
}

spdlog::level::level_enum Spd(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void SetLogLevel(LogLevel level) { level_now.store(level, std::memory_order_relaxed); }
bool LogEnabled(LogLevel level) { return level >= level_now.load(std::memory_order_relaxed); }
void SetMessageStyle(MessageStyle style) {
  with_timestamp = style.timestamp;
  GuestName() = std::move(style.guest_name);
  if (!to_file) {
    Logger()->set_pattern(StderrPattern(), spdlog::pattern_time_type::utc);
  }
}

std::string MessagePrefix() {
  std::string prefix;
  if (with_timestamp) {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    std::tm utc = {};
    gmtime_r(&now.tv_sec, &utc);
    prefix = Format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z ", utc.tm_year + 1900, utc.tm_mon + 1,
                    utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000);
  }
  return GuestName().empty() ? prefix : Format("{}{} ", prefix, GuestName());
}

void LogText(LogLevel level, std::string_view text) {
  Logger()->log(Spd(level), spdlog::string_view_t(text.data(), text.size()));
}

Result<> SetLogFile(const std::string& path) {
  // spdlog reports a bad path by an exception; asking the kernel first gives the sentence and keeps
  // exceptions inside.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return FailErrno(errno, "cannot open log file '{}'", path);
  }
  ::close(fd);
  auto logger =
      std::make_shared<spdlog::logger>("nandu", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l: %v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::info);
  Logger() = std::move(logger);
  to_file = true;
  return {};
}

void LogWithoutLimit() { no_limit.store(true, std::memory_order_relaxed); }

bool RateLimitedLog::Admit() {
  if (no_limit.load(std::memory_order_relaxed)) {
    return true;
  }
  const int64_t now = MonotonicNs();
  int64_t next = next_ns_.load(std::memory_order_relaxed);
  if (now < next || !next_ns_.compare_exchange_strong(next, now + 1'000'000'000, std::memory_order_relaxed)) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  return true;
}

void RateLimitedLog::Emit(const std::string& text) {
  const uint64_t dropped = dropped_.exchange(0, std::memory_order_relaxed);
  if (dropped == 0) {
    Log(LogLevel::kWarning, "{}: {}", subject_, text);
  } else {
    Log(LogLevel::kWarning, "{}: {} ({} more in the last while)", subject_, text, dropped);
  }
}

}  // namespace nandu
