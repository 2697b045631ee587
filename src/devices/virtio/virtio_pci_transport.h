// The PCI transport of a virtio device: registers, negotiation, doorbells, interrupts, and when the device
// runs. virtio 1.2, section 4.1; identity and layout as QEMU 7.2.
//
// Register accesses: any vCPU thread, under mutex_. Interrupts and faults from data halves: any thread,
// without it. Starting and stopping the device is a sequence of steps (Pump) that one thread at a time takes:
// whoever finds a step to take and nobody busy. A write that may only be over when the device stands still
// (status := 0, queue_reset, Bus Master Enable 1 to 0, function-level reset) parks until it does.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nandu/exit.h>
#include <nandu/io_handler.h>
#include <nandu/irq.h>

#include "base/log.h"
#include "base/thread_annotations.h"
#include "devices/pci/pci_function.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio/virtio_pci_state.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {

struct VirtioPciTraits {
  bool legacy = true;  // the legacy interface is there
  bool modern = true;  // the modern one
  bool packed = false;
  bool event_index = true;
  bool indirect_desc = true;
  bool any_layout = true;
  bool notify_on_empty = true;
  bool queue_reset = true;
  bool ioeventfd = true;
  unsigned vectors = 0;  // MSI-X, 0: none
};

struct VirtioPciCounters {
  Counter ignored_accesses;  // no such register, width or queue; writes while they are forbidden
  Counter refused_features;  // FEATURES_OK that was not kept
  Counter resets, activations, failed_activations;
  Counter slow_kicks;  // doorbells that came as exits
  Counter bells_without_eventfd;  // queues all of whose doorbells do
};

class VirtioPciTransport final : public VirtioTransport, public QueueNotifier {
 public:
  // Adds BARs, capabilities and hooks to `function`, before it is attached. `device` and `function` outlive
  // the transport.
  static Result<std::unique_ptr<VirtioPciTransport>> Create(VirtioDevice& device, PciFunction& function,
                                                            const VirtioPciTraits& traits, MsiAllocator& msi);
  ~VirtioPciTransport() override;  // while quiesced, or never activated

  // ---- the machine's, through Device ----
  void Quiesce(UniqueFunction<void()> done);  // pause
  void Resume();  // rings re-checked, each queue's MSI-X raised once, INTx driven again
  void Reset();   // while quiesced: everything back to the start
  void Save(const StateWriter& writer) const;
  Result<> Load(const StateReader& reader);  // after the function's

  // ---- the device's ----
  void ConfigChanged() override;
  void NeedsReset() override;
  int QueueIrqFd(unsigned index) const override;
  void SetInterruptListener(std::function<void()> listener) override {
    interrupt_listener_ = std::move(listener);
  }
  void NotifyQueue(unsigned index) override;
  void QueueBroken(unsigned index, const char* why) override;

  // ---- observation ----
  const VirtioPciCounters& counters() const { return counters_; }
  const QueueCounters& queue_counters(unsigned index) const { return queues_[index]->counters; }
  uint64_t offered() const { return Offered(); }  // feature bits
  uint8_t status() const { return status_.load(std::memory_order_acquire); }

 private:
  class LegacyBar;
  class ModernBar;
  struct Queue {
    std::unique_ptr<Doorbell> doorbell;
    std::atomic<uint16_t> vector{0xffff};
    QueueCounters counters;
    // Guarded by the transport's mutex.
    QueueConfig config;
    bool enabled = false;
    bool resetting = false;  // queue_reset was written and is not over
    bool active = false;     // the device has it
    QueuePosition position;  // where it goes on when the device gets it again
    std::vector<ParkedChain> parked;
    std::vector<std::shared_ptr<ParkedExit>> reset_waiters;
  };
  enum class Step : uint8_t { kNone, kQuiesce, kQuiesceQueue };

  VirtioPciTransport(VirtioDevice& device, PciFunction& function, const VirtioPciTraits& traits);
  Result<> AddQueues();
  Result<> AddModernInterface();
  Result<> AddLegacyInterface();
  Result<uint8_t> AddVirtioCapability(virtio::CapType type, uint64_t offset, uint32_t length);
  std::vector<IoEvent> LegacyEvents() const;
  std::vector<IoEvent> ModernEvents() const;

  // ---- registers (virtio_pci_registers.cpp, virtio_pci_legacy.cpp) ----
  uint64_t ReadModern(uint64_t offset, unsigned size);
  ExitDone WriteModern(uint64_t offset, unsigned size, uint64_t value);
  uint64_t ReadCommon(uint64_t offset);
  uint64_t ReadQueueRegisterLocked(uint64_t offset) const NANDU_TA(requires_capability(mutex_));
  ExitDone WriteCommon(uint64_t offset, uint32_t value);
  void WriteSelectLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WriteQueueRegisterLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  uint64_t ReadLegacy(uint64_t offset, unsigned size);
  ExitDone WriteLegacy(uint64_t offset, unsigned size, uint64_t value);
  void WriteLegacyLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  ExitDone WriteLegacyQueuePage(uint32_t page);
  ExitDone WriteLegacyStatus(uint8_t value);
  uint64_t ReadDeviceConfig(uint64_t offset, unsigned size);
  void WriteDeviceConfig(uint64_t offset, unsigned size, uint64_t value);
  uint32_t ReadWindow(uint16_t offset, unsigned size);
  ExitDone WriteWindow(uint16_t offset, unsigned size, uint32_t value);
  bool WindowTarget(uint64_t* offset, unsigned* size);
  ExitDone Kick(uint64_t index);
  uint8_t TakeIsr();
  Queue* SelectedLocked() const NANDU_TA(requires_capability(mutex_));
  uint16_t AcceptVector(uint32_t vector) const;

  // ---- negotiation and life (virtio_pci_transport.cpp) ----
  uint64_t Offered() const;        // to a modern driver
  uint32_t LegacyOffered() const;  // bits 0 to 31 as a legacy driver sees them
  QueueFeatures RingFeaturesLocked() const NANDU_TA(requires_capability(mutex_));
  ExitDone WriteStatus(uint8_t value, bool legacy);
  void AcceptFeaturesLocked(uint64_t features) NANDU_TA(requires_capability(mutex_));
  bool ShouldRunLocked() const NANDU_TA(requires_capability(mutex_));
  ExitDone StopAndWait(bool reset);  // parks until the device stands still (and is reset)
  ExitDone OnConfigWrite();
  ExitDone ResetQueue(Queue& queue);
  void Pump();
  Step NextStepLocked(std::vector<UniqueFunction<void()>>* finished, unsigned* queue)
      NANDU_TA(requires_capability(mutex_));
  void FinishQueueResetLocked(Queue& queue, std::vector<UniqueFunction<void()>>* finished)
      NANDU_TA(requires_capability(mutex_));
  void ActivateLocked() NANDU_TA(requires_capability(mutex_));
  void ActivateQueueLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  Virtqueue MakeQueueLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void ResetLocked() NANDU_TA(requires_capability(mutex_));
  void ResetQueueLocked(Queue& queue) NANDU_TA(requires_capability(mutex_));
  void TakeBackLocked(QueueAtRest rest) NANDU_TA(requires_capability(mutex_));
  void OnQuiesced(std::vector<QueueAtRest> queues);
  void OnQueueQuiesced(QueueAtRest rest);
  void Interrupt(uint16_t vector, uint8_t isr_bit);
  void InterruptsChanged() const {
    if (interrupt_listener_) {
      interrupt_listener_();
    }
  }
  VirtioPciFacts Facts() const;

  VirtioDevice& device_;
  PciFunction& function_;
  const VirtioPciTraits traits_;
  std::function<void()> interrupt_listener_;
  std::vector<std::unique_ptr<Queue>> queues_;
  VirtioPciCounters counters_;
  RateLimitedLog log_;

  // What data halves reach without the mutex.
  std::atomic<uint8_t> status_{0};
  std::atomic<uint16_t> config_vector_{0xffff};
  std::atomic<uint8_t> config_generation_{0};
  std::atomic<bool> version1_{false};
  mutable Mutex isr_mutex_;  // INTx and the ISR byte move together; a leaf
  uint8_t isr_ NANDU_TA(guarded_by(isr_mutex_)) = 0;

  mutable Mutex mutex_;
  uint16_t queue_select_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint32_t device_feature_select_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint32_t driver_feature_select_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint64_t driver_features_ NANDU_TA(guarded_by(mutex_)) = 0;
  bool features_accepted_ NANDU_TA(guarded_by(mutex_)) = false;
  bool legacy_driver_ NANDU_TA(guarded_by(mutex_)) = false;  // it set up a queue through the legacy interface
  uint32_t window_[3] NANDU_TA(guarded_by(mutex_)) = {};

  bool running_ NANDU_TA(guarded_by(mutex_)) = false;  // the device has queues
  bool busy_ NANDU_TA(guarded_by(mutex_)) = false;     // a Quiesce or QuiesceQueue is on its way
  bool paused_ NANDU_TA(guarded_by(mutex_)) = false;
  bool stop_ NANDU_TA(guarded_by(mutex_)) = false;    // stop once, whatever follows
  bool reset_ NANDU_TA(guarded_by(mutex_)) = false;   // reset once it stands still
  bool heal_ NANDU_TA(guarded_by(mutex_)) = false;    // interrupt each queue once when it is activated next
  bool failed_ NANDU_TA(guarded_by(mutex_)) = false;  // an activation failed: not again before a reset
  std::deque<unsigned> queue_resets_ NANDU_TA(guarded_by(mutex_));
  std::vector<UniqueFunction<void()>> waiters_
      NANDU_TA(guarded_by(mutex_));  // run once the device stands still
};

}  // namespace nandu
