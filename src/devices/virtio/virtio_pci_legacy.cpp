// The legacy interface of a transitional device: I/O ports in BAR 0. virtio 1.2, section 4.1.4.8 and the
// "Legacy Interface" sections it names.
#include <bit>

#include "base/checked.h"
#include "devices/pci/pci_regs.h"
#include "devices/virtio/ring_wire.h"
#include "devices/virtio/virtio_bars.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_transport.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {

using namespace virtio;  // NOLINT: the room's own constants

Result<> VirtioPciTransport::AddLegacyInterface() {
  size_t config_bytes = 0;
  {
    const MutexLock lock(mutex_);
    config_bytes = device_.Config().size();
  }
  const uint64_t registers = traits_.vectors > 0 ? kLegacyConfigMsix : kLegacyConfig;
  const uint64_t bytes = std::bit_ceil(registers + config_bytes);
  return function_.AddBar(
      kLegacyBar, BarKind::kIo,
      Region::Io(std::make_shared<LegacyBar>(*this, function_.name()), bytes, LegacyEvents()));
}

std::vector<IoEvent> VirtioPciTransport::LegacyEvents() const {
  std::vector<IoEvent> events;
  for (size_t i = 0; traits_.ioeventfd && i < queues_.size(); ++i) {
    if (const int fd = queues_[i]->doorbell->fd(); fd >= 0) {
      events.push_back({kLegacyQueueNotify, 2, i, fd});
    }
  }
  return events;
}

uint64_t VirtioPciTransport::ReadLegacy(uint64_t offset, unsigned size) {
  const uint64_t config = function_.msix_enabled() ? kLegacyConfigMsix : kLegacyConfig;
  if (offset >= config) {
    return ReadDeviceConfig(offset - config, size);
  }
  if (offset == kLegacyIsr) {
    return TakeIsr();
  }
  const MutexLock lock(mutex_);
  const Queue* const queue = SelectedLocked();
  switch (offset) {
    case kLegacyHostFeatures: return LegacyOffered();
    case kLegacyGuestFeatures: return static_cast<uint32_t>(driver_features_);
    case kLegacyQueuePage: return queue != nullptr ? queue->config.descriptors >> kLegacyPageShift : 0;
    case kLegacyQueueSize: return queue != nullptr ? device_.MaxQueueSize(queue_select_) : 0;
    case kLegacyQueueSelect: return queue_select_;
    case kLegacyStatus: return status();
    case kLegacyConfigVector: return config_vector_.load(std::memory_order_relaxed);
    case kLegacyQueueVector:
      return queue != nullptr ? queue->vector.load(std::memory_order_relaxed) : kNoVector;
    default: counters_.ignored_accesses.Add(); return ~uint64_t{0};
  }
}

ExitDone VirtioPciTransport::WriteLegacy(uint64_t offset, unsigned size, uint64_t value) {
  const uint64_t config = function_.msix_enabled() ? kLegacyConfigMsix : kLegacyConfig;
  if (offset >= config) {
    WriteDeviceConfig(offset - config, size, value);
    return ExitDone::Done();
  }
  switch (offset) {
    case kLegacyQueueNotify: return Kick(static_cast<uint16_t>(value));
    case kLegacyStatus: return WriteLegacyStatus(static_cast<uint8_t>(value));
    case kLegacyQueuePage: return WriteLegacyQueuePage(static_cast<uint32_t>(value));
    default: break;
  }
  {
    const MutexLock lock(mutex_);
    WriteLegacyLocked(offset, static_cast<uint32_t>(value));
  }
  if (offset == kLegacyQueueVector) {
    InterruptsChanged();
  }
  return ExitDone::Done();
}

void VirtioPciTransport::WriteLegacyLocked(uint64_t offset, uint32_t value) {
  Queue* const queue = SelectedLocked();
  switch (offset) {
    case kLegacyGuestFeatures:
      // Who accepts the bad feature accepts whatever is offered, so nothing it accepted can be relied on.
      AcceptFeaturesLocked((value & kBadFeature) != 0 ? 0 : value & LegacyOffered());
      return;
    case kLegacyQueueSelect: queue_select_ = static_cast<uint16_t>(value); return;
    case kLegacyConfigVector:
      config_vector_.store(AcceptVector(value & 0xffff), std::memory_order_relaxed);
      return;
    case kLegacyQueueVector:
      if (queue != nullptr) {
        queue->vector.store(AcceptVector(value & 0xffff), std::memory_order_relaxed);
        return;
      }
      break;
    default: break;
  }
  counters_.ignored_accesses.Add();
}

ExitDone VirtioPciTransport::WriteLegacyQueuePage(uint32_t page) {
  if (page == 0) {
    // How a legacy driver deletes a queue; QEMU takes it as a reset of the device, and so may a driver.
    return StopAndWait(/*reset=*/true);
  }
  {
    const MutexLock lock(mutex_);
    Queue* const queue = SelectedLocked();
    if (queue == nullptr || queue->enabled || queue->resetting) {
      counters_.ignored_accesses.Add();
      return ExitDone::Done();
    }
    // 2.7.2: one piece, the used ring on the next page
    const uint16_t size = device_.MaxQueueSize(queue_select_);
    const uint64_t descriptors = uint64_t{page} << kLegacyPageShift;
    const uint64_t driver = descriptors + SplitDescBytes(size);
    const uint64_t device = AlignUp(driver + SplitAvailBytes(size), kLegacyAlignment);
    queue->config = {size, descriptors, driver, device};
    queue->enabled = true;
    legacy_driver_ = true;
  }
  Pump();
  return ExitDone::Done();
}

ExitDone VirtioPciTransport::WriteLegacyStatus(uint8_t value) {
  // Linux before 2.6.34 never sets Bus Master Enable: it is set for it at the point where QEMU does.
  if (value == (kStatusAcknowledge | kStatusDriver) && !function_.bus_master()) {
    const uint32_t command = function_.ReadConfig(pci::kCommand, 2);
    (void)function_.WriteConfig(pci::kCommand, 2, command | pci::kCommandMaster);
  }
  return WriteStatus(value, /*legacy=*/true);
}

}  // namespace nandu
