// The data half of a balloon: pages that come and go, statistics, reports of free pages. virtio 1.2,
// section 5.5.6. Lives on one I/O loop and takes no lock; everything but the constructor and destructor is
// called there.
//
// Nothing is in flight between two turns. A request that is too large for one turn is taken from the ring
// again when the queue was away meanwhile; the buffer of statistics that the guest is asked for new ones with
// is parked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "devices/virtio/balloon/balloon_control.h"
#include "devices/virtio/balloon/balloon_counters.h"
#include "devices/virtio/balloon/balloon_pages.h"
#include "devices/virtio/balloon/balloon_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

class BalloonQueues {
 public:
  BalloonQueues(EventLoop& loop, std::shared_ptr<BalloonControl> control);
  BalloonQueues(const BalloonQueues&) = delete;
  BalloonQueues& operator=(const BalloonQueues&) = delete;

  void Activate(ActivateArgs args, const std::vector<RequeuedChains>& requeue);
  void ActivateQueue(ActiveQueue queue) { Start(std::move(queue), {}); }
  std::vector<QueueAtRest> Quiesce();
  std::optional<QueueAtRest> QuiesceQueue(unsigned index);  // nullopt: it is not active
  void Serve(unsigned index);                               // what is available, as far as its turn allows
  void PollStats();                                         // asks the guest for new ones

  EventLoop& loop() { return loop_; }
  BalloonCounters& counters() { return counters_; }  // any thread

 private:
  struct Slot {
    explicit Slot(ActiveQueue&& queue) : active(std::move(queue)) {}
    ActiveQueue active;
    std::unique_ptr<EventWatch> watch;
    std::optional<DescChain> chain;  // begun in this turn or the last
    size_t segment = 0;              // of a report: the range it stands in, and how far
    uint64_t segment_done = 0;
  };

  void Start(ActiveQueue queue, const std::vector<ParkedChain>& parked);
  void TakeUp(Slot& slot, const std::vector<ParkedChain>& parked);
  bool Begin(Slot& slot);
  // Each goes on with the slot's request and answers what that cost; a request that is over is completed.
  int64_t Work(Slot& slot);
  int64_t Inflate(Slot& slot);
  int64_t Deflate(Slot& slot);
  int64_t TakeStats(Slot& slot);
  int64_t Report(Slot& slot);
  void Finish(Slot& slot);
  void HoldStats(Slot& slot, ParkedChain held);
  size_t ReturnStats(Slot& slot, size_t keep);

  EventLoop& loop_;
  const std::shared_ptr<BalloonControl> control_;
  BalloonCounters counters_;
  BalloonPages pages_{counters_};
  DmaSpace* dma_ = nullptr;  // while active
  uint64_t features_ = 0;    // accepted
  std::array<std::optional<Slot>, balloon::kMaxQueues> slots_;
  std::vector<ParkedChain> held_stats_;  // one, where the driver follows the rules
};

}  // namespace nandu
