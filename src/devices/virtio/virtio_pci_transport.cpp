#include "devices/virtio/virtio_pci_transport.h"

#include <algorithm>

#include "base/check.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {

using namespace virtio;  // NOLINT: the room's own constants

VirtioPciTransport::VirtioPciTransport(VirtioDevice& device, PciFunction& function,
                                       const VirtioPciTraits& traits)
    : device_(device), function_(function), traits_(traits), log_(function.name()) {}

VirtioPciTransport::~VirtioPciTransport() {
  const MutexLock lock(mutex_);
  NANDU_CHECK(!running_ && !busy_, "a device is quiesced before it is destroyed");
  device_.SetTransport(nullptr);
}

// ---- negotiation ----

uint64_t VirtioPciTransport::Offered() const {
  uint64_t features = device_.Features();
  features |= traits_.modern ? kVersion1 : 0;
  features |= traits_.indirect_desc ? kIndirectDesc : 0;
  features |= traits_.event_index ? kEventIndex : 0;
  features |= traits_.packed && traits_.modern ? kRingPacked : 0;
  features |= traits_.queue_reset && traits_.modern ? kRingReset : 0;
  return features;
}

uint32_t VirtioPciTransport::LegacyOffered() const {
  uint64_t features = Offered();
  features |= traits_.any_layout ? kAnyLayout : 0;
  features |= traits_.notify_on_empty ? kNotifyOnEmpty : 0;
  features |= traits_.modern ? kBadFeature : 0;
  return static_cast<uint32_t>(features);
}

QueueFeatures VirtioPciTransport::RingFeaturesLocked() const {
  const uint64_t features = features_accepted_ ? driver_features_ : 0;
  return {.packed = (features & kRingPacked) != 0,
          .event_index = (features & kEventIndex) != 0,
          .indirect = (features & kIndirectDesc) != 0,
          .notify_on_empty = (features & kNotifyOnEmpty) != 0};
}

void VirtioPciTransport::AcceptFeaturesLocked(uint64_t features) {
  driver_features_ = features;
  features_accepted_ = true;
  version1_.store((features & kVersion1) != 0, std::memory_order_release);
  device_.FeaturesAccepted(features);
}

ExitDone VirtioPciTransport::WriteStatus(uint8_t value, bool legacy) {
  if (value == 0) {
    return StopAndWait(/*reset=*/true);
  }
  bool stopping = false;
  {
    const MutexLock lock(mutex_);
    const uint8_t before = status_.load(std::memory_order_relaxed);
    value = static_cast<uint8_t>(value & ~kStatusNeedsReset);
    // A legacy driver has no FEATURES_OK: what it wrote is what it uses.
    const bool settles = (value & (kStatusFeaturesOk | kStatusDriverOk)) != 0;
    if (legacy && settles && !features_accepted_) {
      AcceptFeaturesLocked(0);
    } else if (settles && !features_accepted_) {
      const uint64_t features = driver_features_;
      const bool packed_alone = (features & kRingPacked) != 0 && (features & kVersion1) == 0;
      if ((features & ~Offered()) != 0 || packed_alone) {
        // virtio 1.2, 2.2.2: otherwise it MUST fail to set FEATURES_OK
        counters_.refused_features.Add();
        value = static_cast<uint8_t>(value & ~(kStatusFeaturesOk | kStatusDriverOk));
      } else {
        AcceptFeaturesLocked(features);
      }
    }
    // NEEDS_RESET may come from a data half at any moment; only a reset takes it away.
    uint8_t now = before;
    while (!status_.compare_exchange_weak(now, static_cast<uint8_t>(value | (now & kStatusNeedsReset)),
                                          std::memory_order_acq_rel)) {
    }
    stopping = running_ && !ShouldRunLocked();
  }
  if (stopping) {
    return StopAndWait(/*reset=*/false);
  }
  Pump();
  return ExitDone::Done();
}

// ---- the device's calls ----

void VirtioPciTransport::Interrupt(uint16_t vector, uint8_t isr_bit) {
  if (function_.msix_enabled()) {
    if (vector != kNoVector) {
      function_.NotifyMsix(vector);
    }
    return;
  }
  // virtio 1.2, 4.1.4.5.1: the ISR bit is set before the interrupt is raised
  const MutexLock lock(isr_mutex_);
  isr_ = static_cast<uint8_t>(isr_ | isr_bit);
  function_.SetIntx(true);
}

void VirtioPciTransport::NotifyQueue(unsigned index) {
  Interrupt(queues_[index]->vector.load(std::memory_order_relaxed), kIsrQueue);
}

int VirtioPciTransport::QueueIrqFd(unsigned index) const {
  const uint16_t vector = queues_[index]->vector.load(std::memory_order_relaxed);
  return vector != kNoVector ? function_.MsixFd(vector) : -1;
}

void VirtioPciTransport::ConfigChanged() {
  config_generation_.fetch_add(1, std::memory_order_acq_rel);
  // virtio 1.2, 2.3 and 3.1.1: no notification before DRIVER_OK
  if ((status() & kStatusDriverOk) != 0) {
    Interrupt(config_vector_.load(std::memory_order_relaxed), kIsrQueue | kIsrConfig);
  }
}

void VirtioPciTransport::NeedsReset() {
  // A legacy driver knows no such bit.
  if (!version1_.load(std::memory_order_acquire)) {
    return;
  }
  const uint8_t before = status_.fetch_or(kStatusNeedsReset, std::memory_order_acq_rel);
  if ((before & kStatusDriverOk) != 0 && (before & kStatusNeedsReset) == 0) {
    ConfigChanged();
  }
}

void VirtioPciTransport::QueueBroken(unsigned index, const char* why) {
  log_.Warn("queue {} is malformed: {}; it is served again after the guest resets the device", index, why);
  NeedsReset();
}

uint8_t VirtioPciTransport::TakeIsr() {
  const MutexLock lock(isr_mutex_);
  const uint8_t isr = std::exchange(isr_, uint8_t{0});
  function_.SetIntx(false);
  return isr;
}

// ---- the machine's calls ----

void VirtioPciTransport::Quiesce(UniqueFunction<void()> done) {
  {
    const MutexLock lock(mutex_);
    paused_ = true;
    waiters_.push_back(std::move(done));
  }
  Pump();
}

void VirtioPciTransport::Resume() {
  {
    const MutexLock lock(isr_mutex_);
    function_.SetIntx(isr_ != 0 && !function_.msix_enabled());
  }
  {
    const MutexLock lock(mutex_);
    paused_ = false;
    heal_ = true;
  }
  Pump();
}

void VirtioPciTransport::Reset() {
  const MutexLock lock(mutex_);
  NANDU_CHECK(!running_ && !busy_, "a device is quiesced before the machine resets it");
  ResetLocked();
}

void VirtioPciTransport::Save(const StateWriter& writer) const {
  VirtioPciState state;
  {
    const MutexLock lock(isr_mutex_);
    state.isr = isr_;
  }
  {
    const MutexLock lock(mutex_);
    NANDU_CHECK(!running_ && !busy_, "a device is quiesced before it is saved");
    state.status = status();
    state.config_generation = config_generation_.load(std::memory_order_relaxed);
    state.config_vector = config_vector_.load(std::memory_order_relaxed);
    state.queue_select = queue_select_;
    state.device_feature_select = device_feature_select_;
    state.driver_feature_select = driver_feature_select_;
    state.driver_features = driver_features_;
    state.features_accepted = features_accepted_;
    state.legacy_driver = legacy_driver_;
    state.failed = failed_;
    state.window.assign(std::begin(window_), std::end(window_));
    for (const std::unique_ptr<Queue>& queue : queues_) {
      state.queues.push_back({queue->config, queue->enabled, queue->vector.load(std::memory_order_relaxed),
                              queue->position, queue->parked});
    }
  }
  writer.Child("virtio-pci").Put(state);
  device_.Save(writer.Child(device_.name()));
}

VirtioPciFacts VirtioPciTransport::Facts() const {
  VirtioPciFacts facts;
  facts.offered = Offered() | (traits_.legacy ? LegacyOffered() : 0);
  facts.vectors = traits_.vectors;
  for (unsigned i = 0; i < queues_.size(); ++i) {
    facts.max_sizes.push_back(device_.MaxQueueSize(i));
  }
  return facts;
}

Result<> VirtioPciTransport::Load(const StateReader& reader) {
  const VirtioPciState state = TRY(reader.Child("virtio-pci").Get<VirtioPciState>());
  TRY(Prefix(CheckLoaded(state, Facts()), function_.name()));
  {
    const MutexLock lock(mutex_);
    NANDU_CHECK(!running_ && !busy_, "a device is quiesced before it is loaded");
    ResetLocked();
    if (state.features_accepted) {
      AcceptFeaturesLocked(state.driver_features);
    }
    TRY(device_.Load(reader.Child(device_.name())));
    driver_features_ = state.driver_features;
    status_.store(state.status, std::memory_order_release);
    config_generation_.store(state.config_generation, std::memory_order_relaxed);
    config_vector_.store(state.config_vector, std::memory_order_relaxed);
    queue_select_ = state.queue_select;
    device_feature_select_ = state.device_feature_select;
    driver_feature_select_ = state.driver_feature_select;
    legacy_driver_ = state.legacy_driver;
    failed_ = state.failed;
    std::copy(state.window.begin(), state.window.end(), std::begin(window_));
    for (size_t i = 0; i < queues_.size(); ++i) {
      Queue& queue = *queues_[i];
      const VirtioQueueState& saved = state.queues[i];
      queue.config = saved.config;
      queue.enabled = saved.enabled;
      queue.vector.store(saved.vector, std::memory_order_relaxed);
      queue.position = saved.position;
      queue.parked = saved.parked;
    }
    paused_ = true;  // until Resume
  }
  const MutexLock lock(isr_mutex_);
  isr_ = state.isr;
  return {};
}

}  // namespace nandu
