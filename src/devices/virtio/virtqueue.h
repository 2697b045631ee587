// A virtqueue, device side: split and packed rings (virtio 1.2, 2.7 and 2.8), indirect descriptors, event
// index.
//
// Move-only; lives on exactly one loop, moved in by Activate and out by Quiesce. The ring is hostile memory:
// everything is copied once, checked, then used. A malformed ring breaks the queue: Pop answers nothing more,
// completions vanish, NEEDS_RESET is raised, a counter says why.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "devices/virtio/desc_chain.h"
#include "devices/virtio/ring_fault.h"
#include "memory/dma_space.h"

namespace nandu {

// Where a ring lies and how the driver set it up; part of the transport's state.
struct QueueConfig {
  uint16_t size = 0;
  uint64_t descriptors = 0;  // guest-physical: descriptor table / packed descriptor ring
  uint64_t driver = 0;       // available ring / driver event suppression
  uint64_t device = 0;       // used ring / device event suppression
  bool operator==(const QueueConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(QueueConfig, (), (size, descriptors, driver, device))

// The device's own position in the ring. Split: free-running indices; packed: ring slots and their wrap
// counters.
struct QueuePosition {
  uint16_t next_avail = 0;
  uint16_t next_used = 0;
  bool avail_wrap = true;  // packed only
  bool used_wrap = true;
  bool broken = false;
  bool operator==(const QueuePosition&) const = default;
};
BOOST_DESCRIBE_STRUCT(QueuePosition, (), (next_avail, next_used, avail_wrap, used_wrap, broken))

struct QueueFeatures {
  bool packed = false;
  bool event_index = false;
  bool indirect = false;
  bool notify_on_empty = false;  // VIRTIO_F_NOTIFY_ON_EMPTY, legacy only
};

struct QueueCounters {
  Counter popped, completed, interrupts, suppressed_interrupts, malformed;
  std::array<Counter, kRingFaultCount> faults;  // malformed, by reason
};

// How a queue tells the driver and its transport. Any thread.
class QueueNotifier {
 public:
  QueueNotifier() = default;
  QueueNotifier(const QueueNotifier&) = delete;
  QueueNotifier& operator=(const QueueNotifier&) = delete;
  virtual ~QueueNotifier() = default;
  virtual void NotifyQueue(unsigned index) = 0;  // MSI-X vector or INTx
  virtual void QueueBroken(unsigned index, const char* why) = 0;
};

class Virtqueue {
 public:
  Virtqueue(unsigned index, DmaSpace& dma, const QueueConfig& config, const QueueFeatures& features,
            const QueuePosition& position, QueueNotifier& notifier, QueueCounters& counters);
  Virtqueue(Virtqueue&&) noexcept;
  Virtqueue& operator=(Virtqueue&&) noexcept;
  Virtqueue(const Virtqueue&) = delete;
  Virtqueue& operator=(const Virtqueue&) = delete;
  ~Virtqueue();  // with nothing in flight

  unsigned index() const;
  uint16_t size() const;
  const QueueConfig& config() const;
  std::optional<DescChain> Pop();  // nothing available, broken, or DMA disabled
  bool
  HasAvailable();  // without consuming: for polling. A malformed index answers true: Pop breaks the queue
  // Takes a parked chain up again: re-reads and re-validates it. Nullopt: it is not valid any more and the
  // queue is broken.
  std::optional<DescChain> Unpark(const ParkedChain& parked);
  // Dirty bits, then the used ring, then maybe an interrupt. written: bytes written from the chain's first
  // writable byte on.
  void Complete(DescChain&& chain, uint32_t written);
  // The used element only, not yet visible; Flush publishes all of them at once and notifies (mergeable rx
  // buffers, batches).
  void CompleteBatch(DescChain&& chain, uint32_t written);
  void Flush();
  // Gives the chain back to the driver's side unserved: the newest popped one only (rx with too few buffers).
  void Unpop(DescChain&& chain);
  // Forgets it without completing it; its ParkedChain is the record. It stays in flight for the ring until it
  // is unparked and completed.
  ParkedChain Park(DescChain&& chain);
  // Kick suppression. EnableKicks answers true when something is available and the caller must Pop again.
  void DisableKicks();
  bool EnableKicks();
  void NotifyAlways();             // raise the interrupt once whatever the ring says: after a load or resume
  unsigned held() const;           // chains popped or unparked, and not yet completed, parked or unpopped
  QueuePosition position() const;  // with nothing unflushed
  bool broken() const;
  // Somebody else served it, with nothing of ours held: where it goes on.
  void MoveTo(const QueuePosition& position);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
