// The two ring formats behind a virtqueue. Internal to it; its loop only. A ring knows where the driver and
// the device stand; the queue around it owns the memory pin, the pool of bodies, the counters and the
// consequences of a fault.
#pragma once

#include <cstdint>
#include <memory>

#include "devices/virtio/chain_body.h"
#include "devices/virtio/ring_fault.h"
#include "devices/virtio/virtqueue.h"
#include "memory/guest_memory.h"

namespace nandu {

class Ring {
 public:
  Ring(const QueueConfig& config, const QueueFeatures& features, const QueuePosition& position)
      : config_(config), features_(features), position_(position) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  virtual ~Ring() = default;

  virtual RingFault CheckLayout() const = 0;             // size and alignment, before the first Map
  virtual RingFault Map(const GuestMemory& memory) = 0;  // keeps the host addresses of its three areas
  // kNone with *available set. Everything the driver wrote before making it available is visible afterwards.
  virtual RingFault Available(bool* available) = 0;
  virtual RingFault Take(ChainBody& body) = 0;  // after Available; moves on only when it succeeds
  virtual RingFault Retake(const ParkedChain& parked, ChainBody& body) = 0;
  virtual void Return(const ChainBody& body) = 0;                 // undoes the newest Take
  virtual void Put(const ChainBody& body, uint32_t written) = 0;  // one used element, invisible until Publish
  virtual void Publish() = 0;
  virtual bool WantsInterrupt() = 0;  // after Publish; evaluates what was used since it was last asked
  virtual void DisableKicks() = 0;
  virtual void EnableKicks() = 0;  // the caller looks at Available afterwards

  const QueuePosition& position() const { return position_; }
  const QueueConfig& config() const { return config_; }
  void set_broken() { position_.broken = true; }
  unsigned unpublished() const { return unpublished_; }

 protected:
  const QueueConfig config_;
  const QueueFeatures features_;
  QueuePosition position_;
  const GuestMemory* memory_ = nullptr;  // what Map saw; the queue pins it
  unsigned unpublished_ = 0;             // elements put and not yet published
  uint32_t unsignalled_ = 0;             // ring positions used since WantsInterrupt last looked
  bool signal_next_ = true;              // nothing is known of the past: the first completion interrupts
};

std::unique_ptr<Ring> CreateSplitRing(const QueueConfig& config, const QueueFeatures& features,
                                      const QueuePosition& position);
std::unique_ptr<Ring> CreatePackedRing(const QueueConfig& config, const QueueFeatures& features,
                                       const QueuePosition& position);

// virtio 1.2, 2.7.7.2: whether the driver's event index lies among the last `used` positions up to `now`.
constexpr bool EventReached(uint16_t event, uint16_t now, uint32_t used) {
  return static_cast<uint16_t>(now - event - 1) < used;
}

}  // namespace nandu
