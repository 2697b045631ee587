// What every virtio device implements: the guest half behind the PCI transport. All pure: forgetting one must
// not compile.
//
// Who calls when: the transport serialises Activate, ActivateQueue, Quiesce, QuiesceQueue, Reset, Save and
// Load, on any thread. All but Quiesce and QuiesceQueue run under the transport's mutex, as do Config,
// WriteConfig and FeaturesAccepted: a device must not call its transport from inside them (Post instead).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "devices/virtio/doorbell.h"
#include "devices/virtio/virtqueue.h"
#include "memory/dma_space.h"
#include "state/state.h"

namespace nandu {

// One queue as it is handed to the data half: the ring and the doorbell that says there is work. The
// transport rings every doorbell once after an activation, so a data half need not look before its first
// kick. At most one EventWatch on it at a time: destroy it (on the loop) before the queue is given back.
struct ActiveQueue {
  unsigned index = 0;
  Virtqueue queue;
  Doorbell* doorbell = nullptr;  // the transport's; outlives the activation
};

struct ActivateArgs {
  DmaSpace* dma = nullptr;
  std::vector<ActiveQueue> queues;  // the enabled ones, by index; a driver may leave some out, and a legacy
                                    // driver brings them one by one
  uint64_t features = 0;            // what the driver accepted
};

// A queue given back. `parked` are the requests that were popped but not completed, as plain data
// (virtqueue.h).
struct QueueAtRest {
  unsigned index = 0;
  Virtqueue queue;
  std::vector<ParkedChain> parked;
};

// Parked requests to be taken up by Unpark and served first, before the queue's new ones.
struct RequeuedChains {
  unsigned index = 0;
  std::vector<ParkedChain> parked;
};

// Calls from a device up to its transport. Any thread.
class VirtioTransport {
 public:
  VirtioTransport() = default;
  VirtioTransport(const VirtioTransport&) = delete;
  VirtioTransport& operator=(const VirtioTransport&) = delete;
  virtual ~VirtioTransport() = default;
  virtual void ConfigChanged() = 0;  // configuration change interrupt, generation + 1
  virtual void NeedsReset() = 0;     // DEVICE_NEEDS_RESET and a configuration change interrupt
  // For who serves rings past this process (vhost): the eventfd that interrupts for the queue when it is
  // written; -1: it is NotifyQueue's to do now. It may change whenever the listener is called, on a vCPU's
  // thread and within the exit that changes it.
  virtual int QueueIrqFd(unsigned index) const = 0;
  virtual void SetInterruptListener(std::function<void()> listener) = 0;  // before the device is used
};

class VirtioDevice {
 public:
  VirtioDevice() = default;
  VirtioDevice(const VirtioDevice&) = delete;
  VirtioDevice& operator=(const VirtioDevice&) = delete;
  virtual ~VirtioDevice() = default;  // while quiesced

  virtual uint16_t type() const = 0;          // virtio 1.2, section 5: 1 net, 2 block ...
  virtual std::string_view name() const = 0;  // "virtio-blk": the state section's and the log's
  virtual uint32_t pci_class() const = 0;     // 24 bits
  virtual uint64_t Features() const = 0;      // offered, device-specific bits; the transport adds its own
  virtual unsigned queue_count() const = 0;
  virtual uint16_t MaxQueueSize(unsigned index) const = 0;
  virtual void SetTransport(VirtioTransport* transport) = 0;

  // Under the transport's mutex, any vCPU thread.
  virtual std::span<const std::byte> Config() const = 0;  // its length is fixed for the device's life
  virtual void WriteConfig(uint32_t offset,
                           std::span<const std::byte> bytes) = 0;  // within Config()'s bounds
  virtual void FeaturesAccepted(
      uint64_t features) = 0;  // FEATURES_OK was set, or a legacy driver wrote its features

  // Hands queues to I/O loops; must not block. `requeue`: what a load or an earlier Quiesce left parked, to
  // be served first. An error sets NEEDS_RESET.
  virtual Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) = 0;
  // Gate, finish what is in flight, give queues and parked requests back. `done` runs once, on any thread,
  // and not before no completion can touch guest memory any more. Without the mutex; `done` may run before it
  // returns.
  virtual void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) = 0;
  // One queue (VIRTIO_F_RING_RESET). The others go on.
  virtual void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) = 0;
  virtual Result<> ActivateQueue(ActiveQueue queue) = 0;
  // What keeps a Quiesce from ending: "node disk0, write at 4096, 12 s". Any thread, at any time; empty when
  // nothing does.
  virtual std::vector<std::string> StuckRequests() const = 0;
  virtual void
  Reset() = 0;  // while quiesced: configuration and negotiated state back to the start; nothing is requeued

  virtual void Save(const StateWriter& writer) const = 0;  // only while quiesced
  virtual Result<> Load(const StateReader& reader) = 0;    // only while quiesced; before the next Activate.
                                                           // Validates before it changes anything
};

}  // namespace nandu
