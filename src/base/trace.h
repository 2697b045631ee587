// Trace points: named events for whoever looks into a VM (-trace, -d trace:). One relaxed load each while
// nobody does. A new event is a line here and its name in trace.cpp. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace nandu {

enum class TraceEvent : uint8_t {
  kLifecyclePhase,
  kRunState,
  kVcpusPause,
  kVcpusResume,
  kQmpCommand,
  kVirtioStatus,
  kKvmMemorySlot,
  kKvmMsiSignalled,
  kKvmDoorbellByExit,
  kCount,
};
inline constexpr size_t kTraceEvents = static_cast<size_t>(TraceEvent::kCount);

namespace internal {
inline constinit std::array<std::atomic<bool>, kTraceEvents> trace_on{};
}

inline bool TraceEnabled(TraceEvent event) {
  return internal::trace_on[static_cast<size_t>(event)].load(std::memory_order_relaxed);
}
void TraceText(TraceEvent event, std::string_view text);

template <class... Args>
void Trace(TraceEvent event, fmt::format_string<Args...> text, const Args&... args) {
  if (TraceEnabled(event)) [[unlikely]] {
    TraceText(event, Format(text, args...));
  }
}

std::span<const std::string_view> TraceNames();
// A pattern with * and ?; with a leading '-' it turns events off. False: no event has such a name.
bool EnableTrace(std::string_view pattern);
// A file with a pattern a line and '#' before comments. A pattern that names nothing is told to `unknown`.
Result<> EnableTraceFile(const std::string& path, std::string* unknown);
// Lines go to this file instead of stderr; before threads start.
Result<> SetTraceFile(const std::string& path);

}  // namespace nandu
