// The modern interface's registers: common and device configuration, doorbells, and the window in
// configuration space. virtio 1.2, sections 4.1.3 and 4.1.4.
#include <cstring>

#include "devices/virtio/virtio_bars.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_transport.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {

using namespace virtio;  // NOLINT: the room's own constants

namespace {

constexpr uint64_t Ones(unsigned size) { return size >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * size)) - 1; }

constexpr uint16_t kWindowData = 12;  // in the window: bar, offset, length, data

}  // namespace

uint64_t VirtioPciTransport::ModernBar::Read(uint64_t offset, unsigned size) {
  if (size == 8) {  // 4.1.3.1: 64-bit fields are accessed as two halves; a driver that does not gets the same
    return ReadHalves(offset);
  }
  return transport_.ReadModern(offset, size) & Ones(size);
}

uint64_t VirtioPciTransport::ModernBar::ReadHalves(uint64_t offset) {
  const uint64_t low = Read(offset, 4);
  return low | Read(offset + 4, 4) << 32;
}

ExitDone VirtioPciTransport::ModernBar::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (size == 8 && offset < kNotifyOffset) {
    (void)transport_.WriteModern(offset, 4, value & Ones(4));
    return transport_.WriteModern(offset + 4, 4, value >> 32);
  }
  return transport_.WriteModern(offset, size, value & Ones(size));
}

uint64_t VirtioPciTransport::ReadModern(uint64_t offset, unsigned size) {
  if (offset < kIsrOffset) {
    return ReadCommon(offset);
  }
  if (offset < kDeviceOffset) {
    return TakeIsr();
  }
  return offset < kNotifyOffset ? ReadDeviceConfig(offset - kDeviceOffset, size) : 0;
}

ExitDone VirtioPciTransport::WriteModern(uint64_t offset, unsigned size, uint64_t value) {
  if (offset >= kNotifyOffset) {
    return Kick((offset - kNotifyOffset) / kNotifyMultiplier);
  }
  if (offset >= kDeviceOffset) {
    WriteDeviceConfig(offset - kDeviceOffset, size, value);
    return ExitDone::Done();
  }
  if (offset >= kIsrOffset) {
    counters_.ignored_accesses.Add();
    return ExitDone::Done();
  }
  return WriteCommon(offset, static_cast<uint32_t>(value));
}

ExitDone VirtioPciTransport::Kick(uint64_t index) {
  if (index >= queues_.size()) {
    counters_.ignored_accesses.Add();
    return ExitDone::Done();
  }
  counters_.slow_kicks.Add();
  queues_[index]->doorbell->Ring();
  return ExitDone::Done();
}

// ---- common configuration (4.1.4.3) ----

VirtioPciTransport::Queue* VirtioPciTransport::SelectedLocked() const {
  return queue_select_ < queues_.size() ? queues_[queue_select_].get() : nullptr;
}

uint16_t VirtioPciTransport::AcceptVector(uint32_t vector) const {
  // 4.1.5.1.2.1: a vector that cannot be had reads back as NO_VECTOR
  return vector < traits_.vectors ? static_cast<uint16_t>(vector) : kNoVector;
}

uint64_t VirtioPciTransport::ReadCommon(uint64_t offset) {
  const MutexLock lock(mutex_);
  switch (offset) {
    case kDeviceFeatureSelect: return device_feature_select_;
    case kDeviceFeature: return device_feature_select_ < 2 ? Offered() >> (32 * device_feature_select_) : 0;
    case kDriverFeatureSelect: return driver_feature_select_;
    case kDriverFeature:
      return driver_feature_select_ < 2 ? driver_features_ >> (32 * driver_feature_select_) : 0;
    case kConfigVector: return config_vector_.load(std::memory_order_relaxed);
    case kNumQueues: return queues_.size();
    case kDeviceStatus: return status();
    case kConfigGeneration: return config_generation_.load(std::memory_order_acquire);
    case kQueueSelect: return queue_select_;
    default: return ReadQueueRegisterLocked(offset);
  }
}

uint64_t VirtioPciTransport::ReadQueueRegisterLocked(uint64_t offset) const {
  const Queue* const queue = SelectedLocked();
  if (queue == nullptr) {
    return offset == kQueueVector ? kNoVector : 0;  // 4.1.4.3.1: a queue that is not there has size 0
  }
  switch (offset) {
    case kQueueSize: return queue->config.size;
    case kQueueVector: return queue->vector.load(std::memory_order_relaxed);
    case kQueueEnable: return queue->enabled && !queue->resetting ? 1 : 0;
    case kQueueNotifyOff: return queue_select_;
    case kQueueDescriptors: return queue->config.descriptors;
    case kQueueDescriptors + 4: return queue->config.descriptors >> 32;
    case kQueueDriver: return queue->config.driver;
    case kQueueDriver + 4: return queue->config.driver >> 32;
    case kQueueDevice: return queue->config.device;
    case kQueueDevice + 4: return queue->config.device >> 32;
    case kQueueReset: return queue->resetting ? 1 : 0;
    default: return 0;
  }
}

ExitDone VirtioPciTransport::WriteCommon(uint64_t offset, uint32_t value) {
  if (offset == kDeviceStatus) {
    return WriteStatus(static_cast<uint8_t>(value), /*legacy=*/false);
  }
  Queue* reset = nullptr;
  {
    const MutexLock lock(mutex_);
    if (offset != kQueueReset) {
      offset < kQueueSize ? WriteSelectLocked(offset, value) : WriteQueueRegisterLocked(offset, value);
    } else if (value == 1 && SelectedLocked() != nullptr && features_accepted_ &&
               (driver_features_ & kRingReset) != 0) {
      reset = SelectedLocked();
    } else {
      counters_.ignored_accesses.Add();
    }
  }
  if (reset != nullptr) {
    return ResetQueue(*reset);
  }
  if (offset == kQueueEnable) {
    Pump();
  } else if (offset == kQueueVector) {
    InterruptsChanged();
  }
  return ExitDone::Done();
}

void VirtioPciTransport::WriteSelectLocked(uint64_t offset, uint32_t value) {
  switch (offset) {
    case kDeviceFeatureSelect: device_feature_select_ = value; return;
    case kDriverFeatureSelect: driver_feature_select_ = value; return;
    case kConfigVector: config_vector_.store(AcceptVector(value), std::memory_order_relaxed); return;
    case kQueueSelect: queue_select_ = static_cast<uint16_t>(value); return;
    case kDriverFeature:
      // 2.2.1: features are settled by FEATURES_OK
      if (driver_feature_select_ < 2 && !features_accepted_) {
        const unsigned shift = 32 * driver_feature_select_;
        driver_features_ = (driver_features_ & ~(uint64_t{0xffffffff} << shift)) | uint64_t{value} << shift;
        return;
      }
      break;
    default: break;
  }
  counters_.ignored_accesses.Add();
}

void VirtioPciTransport::WriteQueueRegisterLocked(uint64_t offset, uint32_t value) {
  Queue* const queue = SelectedLocked();
  if (queue == nullptr) {
    counters_.ignored_accesses.Add();
    return;
  }
  if (offset == kQueueVector) {
    queue->vector.store(AcceptVector(value), std::memory_order_relaxed);
    return;
  }
  const auto set_half = [value](uint64_t& field, bool high) {
    field = high ? (field & 0xffffffff) | uint64_t{value} << 32 : (field & ~uint64_t{0xffffffff}) | value;
  };
  // 4.1.4.3.2: the driver configures a queue before it enables it
  if (!queue->enabled && !queue->resetting) {
    switch (offset) {
      case kQueueSize:
        if (value != 0 && value <= device_.MaxQueueSize(queue_select_)) {
          queue->config.size = static_cast<uint16_t>(value);
          return;
        }
        break;
      case kQueueDescriptors:
      case kQueueDescriptors + 4: set_half(queue->config.descriptors, offset != kQueueDescriptors); return;
      case kQueueDriver:
      case kQueueDriver + 4: set_half(queue->config.driver, offset != kQueueDriver); return;
      case kQueueDevice:
      case kQueueDevice + 4: set_half(queue->config.device, offset != kQueueDevice); return;
      case kQueueEnable:
        if (value == 1) {
          queue->enabled = true;
          return;
        }
        break;
      default: break;
    }
  }
  counters_.ignored_accesses.Add();
}

// ---- device configuration (4.1.4.6) ----

uint64_t VirtioPciTransport::ReadDeviceConfig(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  const std::span<const std::byte> config = device_.Config();
  uint64_t value = 0;
  if (offset > config.size() || size > config.size() - offset || size > sizeof(value)) {
    counters_.ignored_accesses.Add();
    return ~uint64_t{0};
  }
  std::memcpy(&value, config.data() + offset, size);
  return value;
}

void VirtioPciTransport::WriteDeviceConfig(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  const size_t bytes = device_.Config().size();
  if (offset > bytes || size > bytes - offset || size > sizeof(value)) {
    counters_.ignored_accesses.Add();
    return;
  }
  device_.WriteConfig(static_cast<uint32_t>(offset), std::as_bytes(std::span(&value, 1)).first(size));
}

// ---- the window in configuration space (4.1.4.9) ----

bool VirtioPciTransport::WindowTarget(uint64_t* offset, unsigned* size) {
  const MutexLock lock(mutex_);
  const uint32_t length = window_[2];
  *offset = window_[1];
  *size = length;
  // 4.1.4.9.1: aligned, of 1, 2 or 4 bytes, within the BAR
  const bool fits = (length == 1 || length == 2 || length == 4) && *offset % length == 0 &&
                    *offset <= kModernBarBytes - length && window_[0] == kModernBar;
  if (!fits) {
    counters_.ignored_accesses.Add();
  }
  return fits;
}

uint32_t VirtioPciTransport::ReadWindow(uint16_t offset, unsigned size) {
  uint32_t value = 0;
  const uint16_t word = static_cast<uint16_t>(offset / 4);
  if (offset < kWindowData) {
    const MutexLock lock(mutex_);
    value = window_[word];
  } else {
    uint64_t target = 0;
    unsigned length = 0;
    if (WindowTarget(&target, &length)) {
      value = static_cast<uint32_t>(ReadModern(target, length) & Ones(length));
    }
  }
  return static_cast<uint32_t>(value >> (8 * (offset % 4)) & Ones(size));
}

ExitDone VirtioPciTransport::WriteWindow(uint16_t offset, unsigned size, uint32_t value) {
  if (offset >= kWindowData) {
    uint64_t target = 0;
    unsigned length = 0;
    if (!WindowTarget(&target, &length)) {
      return ExitDone::Done();
    }
    return WriteModern(target, length, value & Ones(length));
  }
  const MutexLock lock(mutex_);
  const unsigned shift = 8 * (offset % 4);
  const auto mask = static_cast<uint32_t>(Ones(size) << shift);
  uint32_t& word = window_[offset / 4];
  word = (word & ~mask) | (value << shift & mask);
  if (offset < 4) {
    word &= 0xff;  // the BAR; what follows is reserved
  }
  return ExitDone::Done();
}

}  // namespace nandu
