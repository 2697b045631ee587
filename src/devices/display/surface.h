// A display over a function that draws: pictures on demand, and a thread that refreshes and finds the damage
// while somebody watches.
//
// Whole pictures are drawn and compared, row by row: KVM's dirty log of a card's memory comes with the dirty
// tracker, which owns the one destructive reader of that log.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nandu/display.h>

#include "base/thread_annotations.h"

namespace nandu {

class DisplaySurface final : public Display {
 public:
  using DrawFunction = std::function<void(Picture* out)>;  // any thread, several at once
  static constexpr uint32_t kRefreshMs = 30;

  // `draw` owns what it draws from. `refresh_ms`: from one picture to the next while somebody watches.
  DisplaySurface(std::string device_id, DrawFunction draw, uint32_t refresh_ms = kRefreshMs);
  ~DisplaySurface() override;  // nobody watches any more

  std::string_view device_id() const override { return device_id_; }
  void Draw(Picture* out) override { draw_(out); }
  void Watch(DisplayWatcher& watcher) override;
  void Unwatch(DisplayWatcher& watcher) override;
  bool refreshing() const;  // there is a thread

 private:
  struct Entry {
    DisplayWatcher* watcher;
    bool told = false;  // has had a picture
  };
  enum class Size : uint8_t { kSame, kNew };
  void Refresh();  // the thread
  void Tell(const Picture& picture, const DisplayRect& damage, Size size);

  const std::string device_id_;
  const DrawFunction draw_;
  const uint32_t refresh_ms_;
  Mutex changing_;  // held while a watcher comes or goes: the thread starts and ends in turn
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Entry> entries_ NANDU_TA(guarded_by(mutex_));
  bool telling_ NANDU_TA(guarded_by(mutex_)) = false;
  std::thread thread_ NANDU_TA(guarded_by(changing_));
};

}  // namespace nandu
