// Keeps a flash chip's array in a block node: read whole at start, and written as the chip changes, in the
// order of the changes. Store: any thread; Create and Load: control thread, before the guest runs.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nandu/block.h>
#include <nandu/exit.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_function.h"
#include "loop/event_loop.h"

namespace nandu {

class FlashStore : public std::enable_shared_from_this<FlashStore> {
 public:
  // `name`: for messages. `loop`: where its I/O is done.
  static Result<std::shared_ptr<FlashStore>> Create(std::string name, EventLoop& loop,
                                                    std::shared_ptr<BlockNode> node);
  // Before the last reference goes: the channel is closed on its loop.
  void Close();

  const BlockLimits& limits() const { return limits_; }
  // All of the node, waiting for it; `array` is as long.
  Result<> Load(std::span<std::byte> array);
  // Writes a copy of `data`; the token is signalled when it is in the node, or could not be written, which is
  // logged and counted. `offset` and its length are multiples of unit().
  std::shared_ptr<ParkedExit> Store(uint64_t offset, std::span<const std::byte> data);
  uint64_t unit() const { return limits_.request_alignment; }
  // When everything handed in until now has been dealt with; on any thread.
  void WhenIdle(UniqueFunction<void()> done);
  bool busy() const;
  const Counter& failed() const { return failed_; }

 private:
  struct Job {
    uint64_t offset = 0;
    std::vector<std::byte> data;
    std::shared_ptr<ParkedExit> token;
  };
  FlashStore(std::string name, EventLoop& loop, std::shared_ptr<BlockNode> node)
      : name_(std::move(name)), loop_(loop), node_(std::move(node)), limits_(node_->limits()), log_(name_) {}
  void Start();  // the first job, on the loop
  void Finish(BlkStatus status);

  const std::string name_;
  EventLoop& loop_;
  const std::shared_ptr<BlockNode> node_;
  const BlockLimits limits_;
  RateLimitedLog log_;
  Counter failed_;
  std::unique_ptr<BlockChannel> channel_;  // used on the loop
  BlockRequest request_;                   // the loop's
  iovec piece_ = {};                       // the loop's
  mutable Mutex mutex_;
  std::deque<Job> jobs_ NANDU_TA(guarded_by(mutex_));  // the first one is in flight
  std::vector<UniqueFunction<void()>> idle_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
