// The data half of virtio-rng: one queue of buffers to fill. virtio 1.2, section 5.4. Lives on one I/O loop
// and takes no lock; everything but the constructor and destructor is called there.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include <nandu/clock.h>

#include "devices/virtio/rng/rng_counters.h"
#include "devices/virtio/rng/rng_source.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

// max-bytes in each period of VM time; the guest's requests wait for the next period once they are used up.
struct RngLimit {
  uint64_t max_bytes = std::numeric_limits<uint64_t>::max();
  uint32_t period_ms = 65'536;
  bool unlimited() const { return max_bytes == std::numeric_limits<uint64_t>::max(); }
};

class RngQueue {
 public:
  // Overlapping descriptors let a guest name the same page many times, so the sum of lengths bounds nothing
  // it owns.
  static constexpr uint64_t kMaxBytesPerRequest = 64 * 1024;

  RngQueue(EventLoop& loop, Clock& clock, EntropySource& source, const RngLimit& limit);
  // Armed when the limit is reached; whoever owns it calls Refill, on the loop, when it fires. Before the
  // first Start; not needed without a limit.
  void SetTimer(Timer* timer) { timer_ = timer; }

  void Start(ActiveQueue active, const std::vector<ParkedChain>& parked);
  std::optional<QueueAtRest> Stop();  // nothing is ever in flight here; nullopt: it had no queue
  void Serve();                       // what is available, as far as the limit and its turn allow
  void Refill();                      // a new period

  EventLoop& loop() { return loop_; }
  const RngCounters& counters() const { return counters_; }

 private:
  void Answer(DescChain&& chain);
  uint64_t Budget();  // bytes that may be given now; arms the timer when there are none

  EventLoop& loop_;
  Clock& clock_;
  EntropySource& source_;
  const RngLimit limit_;
  RngCounters counters_;
  std::optional<Virtqueue> queue_;
  Doorbell* doorbell_ = nullptr;
  std::unique_ptr<EventWatch> watch_;
  uint64_t used_bytes_ = 0;  // in this period
  Timer* timer_ = nullptr;
};

}  // namespace nandu
