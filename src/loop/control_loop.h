// The control loop: the main thread's Asio loop. It owns the machine graph, the block graph, QMP sessions,
// chardevs and timers, never touches guest memory and never blocks. Asio is behind control_loop.cpp.
// Everything but Post and Stop is called on its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <nandu/clock.h>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_function.h"

namespace nandu {

// Readiness of a non-blocking descriptor. One-shot waits, so that back-pressure is the default. Destroying it
// cancels them; it does not own the descriptor, which must outlive it.
class FdWatch {
 public:
  FdWatch() = default;
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  virtual ~FdWatch() = default;
  virtual void WaitReadable(UniqueFunction<void()> ready) = 0;  // replaces an earlier wait
  virtual void WaitWritable(UniqueFunction<void()> ready) = 0;
  virtual void CancelReadable() = 0;
  virtual void CancelWritable() = 0;
};

// Host time (CLOCK_MONOTONIC), for the host's own deadlines. Guest-visible timers: VmClock.
class HostTimer {
 public:
  HostTimer() = default;
  HostTimer(const HostTimer&) = delete;
  HostTimer& operator=(const HostTimer&) = delete;
  virtual ~HostTimer() = default;
  virtual void ArmAfter(int64_t delay_ns) = 0;
  virtual void Cancel() = 0;
};

class ControlLoop {
 public:
  static Result<std::unique_ptr<ControlLoop>> Create();
  ControlLoop() = default;
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;
  virtual ~ControlLoop() = default;

  ThreadRole thread;

  virtual void Post(UniqueFunction<void()> work) = 0;  // any thread
  virtual bool OnThread() const = 0;
  virtual std::unique_ptr<FdWatch> WatchFd(int fd) = 0;
  virtual std::unique_ptr<HostTimer> CreateHostTimer(UniqueFunction<void()> fire) = 0;
  // Signals arrive here instead of at their default action (signalfd semantics; SIGTERM, SIGINT, SIGHUP).
  virtual void OnSignals(std::span<const int> signals, UniqueFunction<void(int)> handler) = 0;
  // Work that may block, on a worker thread; `done` runs back on the loop.
  virtual void RunBlocking(UniqueFunction<void()> work, UniqueFunction<void()> done) = 0;
  virtual void Run() = 0;       // until Stop
  virtual void RunReady() = 0;  // what is ready now, without waiting: for tests and the start sequence
  virtual void Stop() = 0;      // any thread
};

// The VM clock: runs while the VM runs. Freeze and Thaw are the lifecycle's; the value is saved and set by
// it.
class VmClock : public Clock {
 public:
  static std::unique_ptr<VmClock> Create(ControlLoop& loop);  // frozen at 0
  virtual void Freeze() = 0;
  virtual void Thaw() = 0;
  virtual void SetVmNs(int64_t now_ns) = 0;  // while frozen
};

}  // namespace nandu
