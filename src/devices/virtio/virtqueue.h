// A virtqueue, device side: split and packed rings (virtio 1.2, 2.7 and 2.8), indirect descriptors, event index.
//
// Move-only; lives on exactly one loop, moved in by Activate and out by Quiesce. The ring is hostile memory: everything is copied once, checked,
// then used. A malformed ring breaks the queue: Pop answers nothing more, NEEDS_RESET is raised, a counter says why.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "memory/dma_space.h"

namespace nandu {

// Where a ring lies and how the driver set it up; part of the transport's state.
struct QueueConfig {
  uint16_t size = 0;
  uint64_t descriptors = 0;  // guest-physical: descriptor table / packed descriptor ring
  uint64_t driver = 0;       // available ring / driver event suppression
  uint64_t device = 0;       // used ring / device event suppression
};
BOOST_DESCRIBE_STRUCT(QueueConfig, (), (size, descriptors, driver, device))

// The device's own position in the ring.
struct QueuePosition {
  uint16_t next_avail = 0;
  uint16_t next_used = 0;
  bool avail_wrap = true;    // packed only
  bool used_wrap = true;
  uint16_t signalled_used = 0;   // next_used when the driver was last interrupted
  bool signalled_valid = false;
  bool broken = false;
};
BOOST_DESCRIBE_STRUCT(QueuePosition, (), (next_avail, next_used, avail_wrap, used_wrap, signalled_used, signalled_valid, broken))

// A chain that was popped and not completed, as bounded plain data: re-read and re-validated from the ring when it is taken up again.
struct ParkedChain {
  uint16_t head = 0;         // split: head index; packed: buffer id
  uint16_t descriptors = 0;  // packed: ring entries it takes
  uint16_t ring_index = 0;   // packed: where it began
  bool wrap = true;          // packed: the wrap counter there
};
BOOST_DESCRIBE_STRUCT(ParkedChain, (), (head, descriptors, ring_index, wrap))

struct QueueFeatures {
  bool packed = false;
  bool event_index = false;
  bool indirect = false;
  bool in_order = false;
  bool legacy = false;       // legacy drivers may put writable before readable nowhere, but have looser framing (virtio 1.2, 2.7.4.3)
};

struct QueueCounters {
  Counter popped, completed, interrupts, suppressed_interrupts, kicks, malformed;
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

class Virtqueue;

// One request of the driver: move-only, must be completed or parked through its queue. Pins the memory it points to.
class DescChain {
 public:
  DescChain(DescChain&& other) noexcept;
  DescChain& operator=(DescChain&&) = delete;
  DescChain(const DescChain&) = delete;
  DescChain& operator=(const DescChain&) = delete;
  ~DescChain();  // checks that it was completed: a lost chain is our bug

  std::span<const iovec> readable() const;   // what the driver wrote
  std::span<const iovec> writable() const;   // what the device fills
  uint64_t readable_bytes() const;
  uint64_t writable_bytes() const;
  // Copies the first n readable bytes and drops them from readable(); false when there are fewer.
  bool ReadHeader(void* out, size_t n);
  // Takes the last n writable bytes away and returns where they go (blk's status byte); nullopt when there are fewer.
  std::optional<std::vector<iovec>> TakeTrailer(size_t n);
  ParkedChain parked() const;

 private:
  friend class Virtqueue;
  struct Body;  // pooled by its queue, so that a pop allocates nothing in steady state
  explicit DescChain(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

class Virtqueue {
 public:
  Virtqueue(unsigned index, DmaSpace& dma, const QueueConfig& config, const QueueFeatures& features, const QueuePosition& position,
            QueueNotifier& notifier, QueueCounters& counters);
  Virtqueue(Virtqueue&&) noexcept;
  Virtqueue& operator=(Virtqueue&&) noexcept;
  Virtqueue(const Virtqueue&) = delete;
  Virtqueue& operator=(const Virtqueue&) = delete;
  ~Virtqueue();

  unsigned index() const;
  uint16_t size() const;
  std::optional<DescChain> Pop();          // nothing available, or broken
  bool HasAvailable();                     // without consuming: for polling
  // Takes a parked chain up again: re-reads and re-validates it. Nullopt: it is not valid any more and the queue is broken.
  std::optional<DescChain> Unpark(const ParkedChain& parked);
  // Dirty bits, then the used ring, then maybe an interrupt. written: bytes written from the chain's first writable byte on.
  void Complete(DescChain&& chain, uint32_t written);
  void CompleteBatch(DescChain&& chain, uint32_t written);  // used ring only; Flush notifies (mergeable rx buffers, rx batches)
  void Flush();
  // Gives the chain back to the driver's side unserved: the newest popped one only (rx with too few buffers).
  void Unpop(DescChain&& chain);
  void Park(DescChain&& chain);            // forget it without completing; its ParkedChain is the record
  // Kick suppression. EnableKicks answers true when something became available meanwhile and the caller must Pop again.
  void DisableKicks();
  bool EnableKicks();
  void NotifyAlways();                     // raise the interrupt once whatever the ring says: after a load or resume
  QueuePosition position() const;
  bool broken() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
