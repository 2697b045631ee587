// A NIC's rings while the kernel serves them (vhost-net): what it is given, and what is made of it when a
// ring comes back. Start and Stop on the I/O loop; InterruptsChanged on any thread, MemoryChanged on the one
// that commits a change of memory. Their common mutex is a leaf but for the ioctls under it.
//
// The kernel interrupts through the queue's own irqfd, past this process. Where there is none (INTx, a masked
// vector, no irqfd left) it writes an eventfd of ours, and the loop notifies as it does for its own queues.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include <nandu/vhost.h>

#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

// Set by the device while it has a transport; outlives both halves.
struct TransportSlot {
  std::atomic<VirtioTransport*> pointer{nullptr};
};

class NetVhost : public std::enable_shared_from_this<NetVhost> {
 public:
  // Of each pair, null where the kernel cannot serve it.
  NetVhost(EventLoop& loop, std::vector<std::shared_ptr<VhostPair>> pairs,
           std::shared_ptr<TransportSlot> transport);

  bool Has(unsigned pair) const { return pair < pairs_.size() && pairs_[pair] != nullptr; }
  Result<> SetFeatures(uint64_t accepted);  // of all pairs, while no ring runs
  // The kernel serves the queue from now on; an error leaves it as it was. `queue` outlives it.
  Result<> Start(ActiveQueue& queue, DmaSpace& dma);
  // It does so no more, and the queue knows where it stands.
  void Stop(ActiveQueue& queue);

  void InterruptsChanged();
  void MemoryChanged();

 private:
  struct Running {
    unsigned index = 0;
    VhostRing at;
    UniqueFd call;  // ours, for what cannot go to an irqfd
    std::unique_ptr<EventWatch> watch;
  };
  VhostPair& PairOf(unsigned index) const { return *pairs_[index / 2]; }
  int CallFd(const Running& ring) const;
  Result<> HandOver(Running& ring, const ActiveQueue& queue, DmaSpace& dma)
      NANDU_TA(requires_capability(mutex_));
  Result<> ShareMemory(VhostPair& pair) NANDU_TA(requires_capability(mutex_));

  EventLoop& loop_;
  const std::vector<std::shared_ptr<VhostPair>> pairs_;
  const std::shared_ptr<TransportSlot> transport_;
  Mutex mutex_;
  DmaSpace* dma_ NANDU_TA(guarded_by(mutex_)) = nullptr;  // while a ring runs
  // What the kernel was told of, kept mapped for it.
  std::shared_ptr<const GuestMemory> memory_ NANDU_TA(guarded_by(mutex_));
  std::map<unsigned, Running> running_ NANDU_TA(guarded_by(mutex_));  // by queue
};

}  // namespace nandu
