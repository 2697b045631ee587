#include "base/trace.h"

#include <cerrno>
#include <fcntl.h>
#include <fnmatch.h>
#include <fstream>
#include <unistd.h>

#include "base/log_style.h"
#include "base/unique_fd.h"

namespace nandu {
namespace {

constexpr std::array<std::string_view, kTraceEvents> kNames = {
    "lifecycle_phase", "run_state",       "vcpus_pause",       "vcpus_resume",         "qmp_command",
    "virtio_status",   "kvm_memory_slot", "kvm_msi_signalled", "kvm_doorbell_by_exit",
};

constinit int trace_fd = STDERR_FILENO;

}  // namespace

std::span<const std::string_view> TraceNames() { return kNames; }

void TraceText(TraceEvent event, std::string_view text) {
  const std::string line = Format("{}{} {}\n", MessagePrefix(), kNames[static_cast<size_t>(event)], text);
  // One write a line, so that threads do not mix theirs. A line that cannot be written is lost, like any of a
  // stderr that is full.
  [[maybe_unused]] const ssize_t written = ::write(trace_fd, line.data(), line.size());
}

bool EnableTrace(std::string_view pattern) {
  const bool on = !pattern.starts_with('-');
  const std::string wanted(on ? pattern : pattern.substr(1));
  bool found = false;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (fnmatch(wanted.c_str(), std::string(kNames[i]).c_str(), 0) == 0) {
      internal::trace_on[i].store(on, std::memory_order_relaxed);
      found = true;
    }
  }
  return found;
}

Result<> EnableTraceFile(const std::string& path, std::string* unknown) {
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    return FailErrno(errno, "cannot open '{}'", path);
  }
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
      line.pop_back();
    }
    if (!line.empty() && line[0] != '#' && !EnableTrace(line)) {
      *unknown += (unknown->empty() ? "" : ", ") + line;
    }
  }
  return {};
}

Result<> SetTraceFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) {
    return FailErrno(errno, "cannot open trace file '{}'", path);
  }
  trace_fd = fd.Release();  // as long as the process
  return {};
}

}  // namespace nandu
