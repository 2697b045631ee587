// An I/O loop: one thread, one ring, and everything a virtqueue's data half needs. The control loop is
// loop/control_loop.h.
//
// Everything but Post is called on the loop's thread. The loop blocks in one place: eventfds are read by its
// ring.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <nandu/block.h>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_function.h"

namespace nandu {

// Submission of I/O. Buffers, iovec arrays and the op live until op->done ran, on the loop's thread and never
// from within the call. result: bytes or 0, or -errno. Two engines with the same contract: io_uring, and a
// worker pool where the host forbids io_uring.
class IoRing {
 public:
  IoRing() = default;
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;
  virtual ~IoRing() = default;

  virtual std::string_view engine() const = 0;  // "io_uring" or "threads"
  virtual void Readv(int fd, std::span<const iovec> v, uint64_t offset,
                     IoOp* op) = 0;  // at most IOV_MAX iovecs
  virtual void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags,
                      IoOp* op) = 0;  // RWF_DSYNC or 0
  virtual void Fsync(int fd, bool data_only, IoOp* op) = 0;
  virtual void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) = 0;
  virtual void PollReadable(int fd, IoOp* op) = 0;  // one shot; result: poll mask
  virtual void PollWritable(int fd, IoOp* op) = 0;
  // Asks for `op` to end early; it still completes exactly once (-ECANCELED if the cancel won). For polls and
  // reads that may never end.
  virtual void Cancel(IoOp* op) = 0;
  // Blocking work that no ring operation covers (BLKDISCARD, SEEK_HOLE): runs on a worker; result is what it
  // returns.
  virtual void Run(UniqueFunction<int32_t()> work, IoOp* op) = 0;
};

// An eventfd served by a loop. Destroyed on the loop: its callback does not run afterwards.
class EventWatch {
 public:
  EventWatch() = default;
  EventWatch(const EventWatch&) = delete;
  EventWatch& operator=(const EventWatch&) = delete;
  virtual ~EventWatch() = default;
};

class EventLoop {
 public:
  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  virtual ~EventLoop() = default;

  ThreadRole thread;

  virtual void Post(
      UniqueFunction<void()> work) = 0;  // any thread; in order per poster; the only cross-thread door
  virtual bool OnThread() const = 0;     // any thread
  virtual IoRing& ring() = 0;
  // on_event runs after the eventfd was signalled (its counter has been read back to 0). The fd must outlive
  // the watch. The owner may also poll: `poll` (may be null) answers true when it found work, and on_event is
  // called then too, signalled or not; the loop calls it while it polls adaptively (poll-max-ns). A signal
  // the kernel had already taken when the watch is destroyed is put back for the next watcher. A watch may be
  // destroyed in its own callback.
  virtual std::unique_ptr<EventWatch> Watch(int eventfd, UniqueFunction<void()> on_event,
                                            UniqueFunction<bool()> poll = nullptr) = 0;

  // Runs *work once at the end of the current turn, after the completions and events that came with it: how a
  // batch becomes one interrupt. Asking again before it ran changes nothing. *work outlives that, or is taken
  // back with CancelTurnEnd. Allocates nothing in steady state.
  void AtTurnEnd(const UniqueFunction<void()>* work) {
    if (std::find(turn_end_.begin(), turn_end_.end(), work) == turn_end_.end()) {
      turn_end_.push_back(work);
    }
  }
  void CancelTurnEnd(const UniqueFunction<void()>* work) { std::erase(turn_end_, work); }

 protected:
  // Called by the loop before it may block.
  void RunTurnEnd() {
    while (!turn_end_.empty()) {
      const UniqueFunction<void()>* const work = turn_end_.back();
      turn_end_.pop_back();
      (*work)();
    }
  }

 private:
  std::vector<const UniqueFunction<void()>*> turn_end_;
};

}  // namespace nandu
