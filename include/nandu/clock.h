// Guest-visible time and timers for devices. The VM clock stands still while the VM is paused; timers keep the time that remained.
#pragma once

#include <cstdint>
#include <memory>

#include "base/unique_function.h"

namespace nandu {

class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() = default;                    // cancels; its callback is not running any more when this returns on the control loop
  virtual void Arm(int64_t deadline_ns) = 0;     // on its clock; replaces an earlier deadline. Any thread
  virtual void Cancel() = 0;                     // any thread; a callback already on its way may still run once
};

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual int64_t VmNs() const = 0;    // nanoseconds the VM has run since it was created; any thread
  virtual int64_t RealtimeNs() const = 0;  // host's CLOCK_REALTIME since 1970 UTC; any thread
  // A timer on the VM clock; `fire` runs on the control loop.
  virtual std::unique_ptr<Timer> CreateTimer(UniqueFunction<void()> fire) = 0;
};

}  // namespace nandu
