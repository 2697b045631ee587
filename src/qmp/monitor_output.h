// What a monitor still has to say to one client: written as the chardev takes it, bounded. Control loop. A
// new one per client, so that a chardev that becomes writable late finds nobody.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <nandu/chardev.h>

#include "base/unique_function.h"

namespace nandu {

class MonitorOutput {
 public:
  // `on_drained` runs when bytes went out that had to wait.
  MonitorOutput(Chardev& chardev, size_t max_waiting_bytes, UniqueFunction<void()> on_drained);
  MonitorOutput(const MonitorOutput&) = delete;
  MonitorOutput& operator=(const MonitorOutput&) = delete;

  // False: more waits than may; the client is to be dropped.
  [[nodiscard]] bool Put(std::string_view text);
  size_t waiting_bytes() const { return text_.size() - sent_; }

 private:
  void Flush();

  Chardev& chardev_;
  const size_t max_waiting_bytes_;
  const UniqueFunction<void()> on_drained_;
  std::string text_;
  size_t sent_ = 0;       // of text_
  bool blocked_ = false;  // the chardev will call
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
