// What a register write answers: done, or parked until a token is signalled.
//
// A write is parked when it may only be over once I/O in flight is over: virtio status := 0 and queue_reset with
// requests in flight, Bus Master Enable 1 to 0, function-level and bus reset. The vCPU that wrote waits in its own thread
// without holding a lock; it can be kicked, paused and saved meanwhile. A write that was parked when the vCPU was saved is
// done again after the load, so handlers of parked writes are idempotent.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "base/unique_function.h"

namespace nandu {

// Shared by the device, which signals once, and the vCPU, which observes. Any thread.
class ParkedExit {
 public:
  void Signal() {
    UniqueFunction<void()> observer;
    {
      const std::lock_guard lock(mutex_);
      signalled_ = true;
      observer = std::move(observer_);
    }
    if (observer) {
      observer();
    }
  }
  bool signalled() const {
    const std::lock_guard lock(mutex_);
    return signalled_;
  }
  // Runs `observer` once, on the signalling thread, or at once when it has been signalled already.
  void Observe(UniqueFunction<void()> observer) {
    {
      const std::lock_guard lock(mutex_);
      if (!signalled_) {
        observer_ = std::move(observer);
        return;
      }
    }
    observer();
  }

 private:
  mutable std::mutex mutex_;
  bool signalled_ = false;
  UniqueFunction<void()> observer_;
};

class [[nodiscard]] ExitDone {
 public:
  static ExitDone Done() { return {}; }
  static ExitDone Park(std::shared_ptr<ParkedExit> token) {
    ExitDone parked;
    parked.token_ = std::move(token);
    return parked;
  }
  const std::shared_ptr<ParkedExit>& token() const { return token_; }  // null: done

 private:
  std::shared_ptr<ParkedExit> token_;
};

}  // namespace nandu
