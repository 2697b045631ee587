#include "qmp/monitor_output.h"

#include <span>
#include <utility>

namespace nandu {
namespace {
constexpr size_t kCompactBytes = size_t{64} << 10;
}

MonitorOutput::MonitorOutput(Chardev& chardev, size_t max_waiting_bytes, UniqueFunction<void()> on_drained)
    : chardev_(chardev), max_waiting_bytes_(max_waiting_bytes), on_drained_(std::move(on_drained)) {}

bool MonitorOutput::Put(std::string_view text) {
  text_ += text;
  Flush();
  return waiting_bytes() <= max_waiting_bytes_;
}

void MonitorOutput::Flush() {
  if (blocked_) {
    return;
  }
  sent_ += chardev_.Write(std::as_bytes(std::span(text_).subspan(sent_)));
  if (waiting_bytes() == 0) {
    text_.clear();
    sent_ = 0;
    return;
  }
  if (sent_ >= kCompactBytes) {
    text_.erase(0, std::exchange(sent_, 0));
  }
  blocked_ = true;
  chardev_.NotifyWritable([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) {
      return;
    }
    blocked_ = false;
    Flush();
    on_drained_();
  });
}

}  // namespace nandu
