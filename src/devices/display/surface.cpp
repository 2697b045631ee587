#include "devices/display/surface.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/thread_name.h"
#include "devices/display/damage.h"
#include "loop/thread_start.h"

namespace nandu {

DisplaySurface::DisplaySurface(std::string device_id, DrawFunction draw, uint32_t refresh_ms)
    : device_id_(std::move(device_id)), draw_(std::move(draw)), refresh_ms_(refresh_ms) {}

DisplaySurface::~DisplaySurface() {
  NANDU_CHECK(!refreshing(), "whoever watches a display stops before it goes");
}

bool DisplaySurface::refreshing() const {
  const MutexLock lock(mutex_);
  return !entries_.empty();
}

void DisplaySurface::Watch(DisplayWatcher& watcher) {
  const MutexLock changing(changing_);
  {
    const MutexLock lock(mutex_);
    entries_.push_back({&watcher});
  }
  if (!thread_.joinable()) {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { Refresh(); });
  }
}

void DisplaySurface::Unwatch(DisplayWatcher& watcher) {
  const MutexLock changing(changing_);
  bool last = false;
  {
    const MutexLock lock(mutex_);
    std::erase_if(entries_, [&watcher](const Entry& entry) { return entry.watcher == &watcher; });
    while (telling_) {
      changed_.wait(mutex_);
    }
    last = entries_.empty();
    changed_.notify_all();
  }
  if (last && thread_.joinable()) {
    thread_.join();
    thread_ = std::thread();
  }
}

void DisplaySurface::Refresh() {
  NameThisThread("display");
  Picture shown;
  Picture next;
  for (;;) {
    draw_(&next);
    const bool same = shown.width == next.width && shown.height == next.height;
    Tell(next, FindDamage(shown, next), same ? Size::kSame : Size::kNew);
    std::swap(shown, next);
    const MutexLock lock(mutex_);
    if (!entries_.empty()) {
      changed_.wait_for(mutex_, std::chrono::milliseconds(refresh_ms_));
    }
    if (entries_.empty()) {
      return;
    }
  }
}

void DisplaySurface::Tell(const Picture& picture, const DisplayRect& damage, Size size) {
  std::vector<Entry> entries;
  {
    const MutexLock lock(mutex_);
    entries = entries_;
    for (Entry& entry : entries_) {
      entry.told = true;
    }
    telling_ = true;
  }
  for (const Entry& entry : entries) {
    if (size == Size::kNew || !entry.told) {
      entry.watcher->OnResize(picture);
    } else if (!damage.empty()) {
      entry.watcher->OnDamage(picture, damage);
    }
  }
  const MutexLock lock(mutex_);
  telling_ = false;
  changed_.notify_all();
}

}  // namespace nandu
