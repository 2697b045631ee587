// The data half of virtio-blk: one queue, its channel to the block node, and the requests between them.
// virtio 1.2, section 5.2.6.
//
// Lives on one I/O loop and takes no lock; an I/O allocates nothing in steady state. Everything but the
// constructor, Stuck and the accessors is called on the loop; the destructor too (the channel's).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nandu/block.h>

#include "devices/virtio/blk/blk_request.h"
#include "devices/virtio/blk/blk_shared.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"
#include "loop/gate.h"

namespace nandu {

class BlkQueue {
 public:
  BlkQueue(EventLoop& loop, std::unique_ptr<BlockChannel> channel, std::shared_ptr<BlkShared> shared,
           uint16_t max_queue_size);
  ~BlkQueue();
  BlkQueue(const BlkQueue&) = delete;
  BlkQueue& operator=(const BlkQueue&) = delete;

  EventLoop& loop() const { return loop_; }

  // The queue is here from now on; what was parked is submitted first.
  void Start(ActiveQueue active, const std::vector<ParkedChain>& parked);
  // Takes no more, waits for what is in flight, gives the queue back. nullopt: there was none.
  void Stop(UniqueFunction<void(std::optional<QueueAtRest>)> done);
  void Serve();

  // What is in flight for longer than `than_ns`: "node disk0, write at 4096, 12 s". Any thread.
  void Stuck(int64_t now_ns, int64_t than_ns, std::vector<std::string>* out) const;

 private:
  // What one request in flight is, for whoever asks while it hangs.
  struct Slot {
    std::atomic<int64_t> since_ns{0};  // 0: free
    std::atomic<uint64_t> offset{0};
    std::atomic<BlockRequest::Op> op{BlockRequest::Op::kRead};
  };

  void Begin(DescChain&& chain);
  void Submit(BlkRequest* request);
  void Finish(BlkRequest* request, BlkStatus status);
  void Answer(BlkRequest* request, blk::Status status, uint32_t written);
  struct Verdict {
    bool park = false;  // the VM stops, and the request waits for it to go on
    blk::Status status = blk::Status::kOk;
  };
  Verdict Judge(const BlkRequest& request, BlkStatus status);
  BlkRequest* Acquire();
  void Release(BlkRequest* request);
  void FlushSoon() { loop_.AtTurnEnd(&flush_); }

  EventLoop& loop_;
  std::unique_ptr<BlockChannel> channel_;
  const std::shared_ptr<BlkShared> shared_;
  const UniqueFunction<void()> flush_;
  std::optional<Virtqueue> queue_;
  Doorbell* doorbell_ = nullptr;
  std::unique_ptr<EventWatch> watch_;
  Gate gate_;
  std::vector<ParkedChain> parked_;
  std::vector<std::unique_ptr<BlkRequest>> requests_;  // all there are, at most one per slot
  std::vector<BlkRequest*> free_;
  std::vector<Slot> slots_;
};

}  // namespace nandu
