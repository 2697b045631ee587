// Readiness of a descriptor on an I/O loop, one direction, one shot at a time. Lives on the loop, its destructor included.
#pragma once

#include <memory>

#include "base/unique_fd.h"
#include "base/unique_function.h"
#include "loop/event_loop.h"

namespace nandu {

class FdPoll {
 public:
  enum class For : uint8_t { kReadable, kWritable };
  // `on_ready` runs from the loop once for each Arm; it may destroy this.
  FdPoll(EventLoop& loop, std::shared_ptr<UniqueFd> fd, For direction, UniqueFunction<void()> on_ready);
  ~FdPoll();
  FdPoll(const FdPoll&) = delete;
  FdPoll& operator=(const FdPoll&) = delete;

  void Arm();     // asking again before it ran changes nothing
  void Cancel();  // on_ready does not run until the next Arm

 private:
  // The poll in the ring. It belongs to the ring until it completes, so whoever goes away leaves it behind to delete itself.
  struct Op {
    IoOp op;                  // first: done() gets its address
    FdPoll* owner = nullptr;  // null: gone
    std::shared_ptr<UniqueFd> fd;
    bool pending = false;
  };
  static void OnDone(IoOp* op, int32_t result);
  void Submit();

  EventLoop& loop_;
  const For direction_;
  const std::shared_ptr<UniqueFunction<void()>> on_ready_;  // shared: it may destroy its owner
  std::unique_ptr<Op> op_;
  bool wanted_ = false;
};

}  // namespace nandu
