// One queue of a tap on one I/O loop. Frames are read and written at once with readv and writev, which copy
// between guest memory and the kernel's buffers and never block; the loop's ring only says when there are
// frames again. Measured for 1,500-byte frames: writev 0.36 us each, a ring operation 0.50 us alone and 0.35
// us in batches of 32; so the ring would gain nothing, and every frame would have to outlive its call.
#pragma once

#include <memory>

#include <nandu/net.h>

#include "base/unique_fd.h"
#include "loop/event_loop.h"

namespace nandu {

class TapChannel final : public NetChannel {
 public:
  TapChannel(EventLoop& loop, std::shared_ptr<UniqueFd> fd);
  ~TapChannel() override;

  SendResult Send(std::span<const iovec> frame) override;
  void NotifyWritable(UniqueFunction<void()> on_writable) override;
  int64_t Receive(std::span<const iovec> into) override;
  void StartRx(UniqueFunction<void()> on_readable) override;
  void StopRx() override;

 private:
  // A poll in the ring. It belongs to the ring until it completes, so a channel that goes away leaves it
  // behind to delete itself.
  struct Poll {
    IoOp op;                      // first: done() gets its address
    TapChannel* owner = nullptr;  // null: the channel is gone
    std::shared_ptr<UniqueFd> fd;
    bool writable = false;
    bool pending = false;
  };
  static void OnPoll(IoOp* op, int32_t result);
  void Arm(Poll& poll);
  void Abandon(std::unique_ptr<Poll> poll);

  EventLoop& loop_;
  const std::shared_ptr<UniqueFd> fd_;
  std::shared_ptr<UniqueFunction<void()>> on_readable_;  // null: stopped. Shared: it may stop itself
  UniqueFunction<void()> on_writable_;
  std::unique_ptr<Poll> readable_;
  std::unique_ptr<Poll> writable_;
};

}  // namespace nandu
