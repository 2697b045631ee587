// What every virtio device implements: the guest half behind the PCI transport. All pure: forgetting one must not compile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "devices/virtio/virtqueue.h"
#include "memory/dma_space.h"
#include "state/state.h"

namespace nandu {

// One queue as it is handed to the data half: the ring, the doorbell that says there is work, and the interrupt.
struct ActiveQueue {
  unsigned index = 0;
  Virtqueue queue;
  int kick_fd = -1;   // eventfd: an ioeventfd, or written by the transport where there is none. Owned by the transport, outlives the activation
};

struct ActivateArgs {
  DmaSpace* dma = nullptr;
  std::vector<ActiveQueue> queues;  // the enabled ones, by index
  uint64_t features = 0;            // what the driver accepted
};

// A queue given back. `parked` are the requests that were popped but not completed, as plain data (virtqueue.h).
struct QueueAtRest {
  unsigned index = 0;
  Virtqueue queue;
  std::vector<ParkedChain> parked;
};

// Calls from a device up to its transport. Any thread.
class VirtioTransport {
 public:
  VirtioTransport() = default;
  VirtioTransport(const VirtioTransport&) = delete;
  VirtioTransport& operator=(const VirtioTransport&) = delete;
  virtual ~VirtioTransport() = default;
  virtual void ConfigChanged() = 0;   // configuration change interrupt, generation + 1
  virtual void NeedsReset() = 0;      // DEVICE_NEEDS_RESET and a configuration change interrupt
};

class VirtioDevice {
 public:
  VirtioDevice() = default;
  VirtioDevice(const VirtioDevice&) = delete;
  VirtioDevice& operator=(const VirtioDevice&) = delete;
  virtual ~VirtioDevice() = default;

  virtual uint16_t type() const = 0;                     // virtio 1.2, section 5: 1 net, 2 block ...
  virtual std::string_view name() const = 0;             // "virtio-blk": the state section's and the log's
  virtual uint32_t pci_class() const = 0;                // 24 bits
  virtual uint64_t Features() const = 0;                 // offered, device-specific bits; the transport adds its own
  virtual unsigned queue_count() const = 0;
  virtual uint16_t MaxQueueSize(unsigned index) const = 0;
  virtual void SetTransport(VirtioTransport* transport) = 0;

  // Under the transport's mutex, any vCPU thread.
  virtual std::span<const std::byte> Config() const = 0;
  virtual void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) = 0;
  virtual void FeaturesAccepted(uint64_t features) = 0;  // FEATURES_OK was set, or a legacy driver wrote its features

  // Hands queues to I/O loops; must not block. `requeue`: what a load or an earlier Quiesce left parked, to be served first.
  virtual Result<> Activate(ActivateArgs args, std::vector<QueueAtRest> requeue) = 0;
  // Gate, finish what is in flight, give queues and parked requests back. `done` runs once, on any thread, and not before no completion
  // can touch guest memory any more.
  virtual void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) = 0;
  // One queue (VIRTIO_F_RING_RESET). The others go on.
  virtual void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) = 0;
  virtual Result<> ActivateQueue(ActiveQueue queue) = 0;
  virtual void Reset() = 0;                              // while quiesced: configuration and negotiated state back to the start

  virtual void Save(const StateWriter& writer) const = 0;        // only while quiesced
  virtual Result<> Load(const StateReader& reader) = 0;
};

}  // namespace nandu
