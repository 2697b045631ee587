// What an I/O loop is driven by: io_uring (uring_engine.cpp) or epoll and worker threads (thread_engine.cpp).
// Inside this room only; everything is called on the loop's thread but LoopWaker::Wake and Attach's
// predecessor, the constructor.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/result.h"
#include "base/unique_function.h"
#include "loop/event_loop.h"

namespace nandu {

// Ends a waiting Turn. Any thread.
class LoopWaker {
 public:
  LoopWaker() = default;
  LoopWaker(const LoopWaker&) = delete;
  LoopWaker& operator=(const LoopWaker&) = delete;
  virtual ~LoopWaker() = default;
  virtual void Wake() = 0;
};

// What the owner of a watch gave; shared, so that a callback may destroy its own watch.
struct WatchCallbacks {
  UniqueFunction<void()> on_event;
  UniqueFunction<bool()> poll;
  bool alive = true;
};

class LoopEngine : public IoRing {
 public:
  // The calling thread becomes the loop's, the only one that submits.
  virtual Result<> Attach() = 0;
  // Hands queued operations to the kernel without waiting.
  virtual void Submit() = 0;
  // Submits, waits for at least one event if asked to, and runs the completions that have come.
  virtual void Turn(bool wait) = 0;
  virtual bool HasCompletions() const = 0;  // taken from the kernel, not dispatched yet
  virtual bool Peek() = 0;                  // the same after a look at the kernel; for busy polling
  virtual size_t in_flight() const = 0;     // operations whose `done` has not run; watches do not count
  // Destroying the result waits until the kernel is done with the watch, so that nobody's later signal is
  // swallowed.
  virtual std::unique_ptr<EventWatch> WatchEvent(int eventfd, std::shared_ptr<WatchCallbacks> callbacks) = 0;
  // The loop ends with nothing in flight: watches that are left watch nothing from here on, and no worker
  // calls the waker any more.
  virtual void Close() = 0;
};

Result<std::unique_ptr<LoopEngine>> CreateUringEngine(LoopWaker& waker);
Result<std::unique_ptr<LoopEngine>> CreateThreadEngine(LoopWaker& waker, unsigned max_threads);

}  // namespace nandu
