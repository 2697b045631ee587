// Packed rings. virtio 1.2, 2.8. One ring of descriptors; a pair of flag bits against each side's wrap
// counter says whose a slot is.
#include <algorithm>

#include "base/checked.h"
#include "devices/virtio/full_fence.h"
#include "devices/virtio/ring.h"

namespace nandu {
namespace {

constexpr size_t kIdOffset = offsetof(PackedDescWire, id);
constexpr size_t kFlagsOffset = offsetof(PackedDescWire, flags);
constexpr size_t kLengthOffset = offsetof(PackedDescWire, length);

class PackedRing final : public Ring {
 public:
  using Ring::Ring;

  RingFault CheckLayout() const override {
    // virtio 1.2, 2.8.10.1: at most 32768, no power of two needed; alignments of 16, 4 and 4
    if (config_.size == 0 || config_.size > kMaxRingSize) {
      return RingFault::kBadSize;
    }
    const bool aligned = config_.descriptors % 16 == 0 && config_.driver % 4 == 0 && config_.device % 4 == 0;
    return aligned ? RingFault::kNone : RingFault::kMisaligned;
  }

  RingFault Map(const GuestMemory& memory) override {
    memory_ = &memory;
    ring_ =
        memory.HostPointer(Gpa{config_.descriptors}, sizeof(PackedDescWire) * config_.size, Access::kWrite);
    driver_ = memory.HostPointer(Gpa{config_.driver}, sizeof(PackedEventWire), Access::kRead);
    device_ = memory.HostPointer(Gpa{config_.device}, sizeof(PackedEventWire), Access::kWrite);
    const bool mapped = ring_ != nullptr && driver_ != nullptr && device_ != nullptr;
    return mapped ? RingFault::kNone : RingFault::kNotMapped;
  }

  RingFault Available(bool* available) override {
    // Acquire: the rest of the chain is read after the flags of its first descriptor.
    const uint16_t flags = LoadFlags(position_.next_avail, __ATOMIC_ACQUIRE);
    const bool avail = (flags & kDescAvail) != 0;
    const bool used = (flags & kDescUsed) != 0;
    *available = avail == position_.avail_wrap && used != position_.avail_wrap;
    return RingFault::kNone;
  }

  RingFault Take(ChainBody& body) override {
    ChainBuilder builder(*memory_, features_.indirect, body);
    uint32_t slot = position_.next_avail;
    for (unsigned taken = 1; taken <= config_.size; ++taken) {
      const auto wire = CopyDescriptor<PackedDescWire>(Slot(slot));
      const RingDescriptor desc{wire.address, wire.length, wire.flags};
      if (const RingFault fault = Add(builder, desc, taken == 1); fault != RingFault::kNone) {
        return fault;
      }
      body.descriptors.push_back(desc);
      if (InFlight() + taken > config_.size) {
        return RingFault::kOverrun;
      }
      if ((wire.flags & kDescNext) == 0) {
        builder.Finish();
        body.id = wire.id;  // virtio 1.2, 2.8.6: the buffer id stands in the last descriptor
        body.ring_slots = static_cast<uint16_t>(taken);
        Advance(position_.next_avail, position_.avail_wrap, taken);
        return RingFault::kNone;
      }
      slot = (slot + 1) % config_.size;
    }
    return RingFault::kLoop;
  }

  RingFault Retake(const ParkedChain& parked, ChainBody& body) override {
    if (parked.descriptors.empty() || parked.descriptors.size() > config_.size) {
      return RingFault::kParkedInvalid;
    }
    ChainBuilder builder(*memory_, features_.indirect, body);
    body.id = parked.head;
    body.ring_slots = static_cast<uint16_t>(parked.descriptors.size());
    for (const RingDescriptor& desc : parked.descriptors) {
      if (const RingFault fault = Add(builder, desc, body.descriptors.empty()); fault != RingFault::kNone) {
        return fault;
      }
      body.descriptors.push_back(desc);
      const bool last = body.descriptors.size() == parked.descriptors.size();
      if (((desc.flags & kDescNext) == 0) != last) {
        return RingFault::kParkedInvalid;
      }
    }
    builder.Finish();
    return RingFault::kNone;
  }

  void Return(const ChainBody& body) override {
    if (position_.next_avail < body.ring_slots) {
      position_.next_avail = static_cast<uint16_t>(position_.next_avail + config_.size);
      position_.avail_wrap = !position_.avail_wrap;
    }
    position_.next_avail = static_cast<uint16_t>(position_.next_avail - body.ring_slots);
  }

  void Put(const ChainBody& body, uint32_t written) override {
    std::byte* const slot = Slot(position_.next_used);
    __atomic_store_n(reinterpret_cast<uint16_t*>(slot + kIdOffset), body.id, __ATOMIC_RELAXED);
    __atomic_store_n(reinterpret_cast<uint32_t*>(slot + kLengthOffset), written, __ATOMIC_RELAXED);
    // virtio 1.2, 2.8.8: AVAIL and USED both equal to the wrap counter. WRITE says that `written` means
    // something.
    const uint16_t flags = static_cast<uint16_t>((position_.used_wrap ? kDescAvail | kDescUsed : 0) |
                                                 (written > 0 ? kDescWrite : 0));
    if (unpublished_ == 0) {
      first_slot_ = position_.next_used;
      first_flags_ = flags;  // kept back: the driver goes in order, so this one hides the whole batch
    } else {
      StoreFlags(position_.next_used, flags);
    }
    memory_->MarkDirty(Gpa{config_.descriptors + sizeof(PackedDescWire) * position_.next_used},
                       sizeof(PackedDescWire));
    Advance(position_.next_used, position_.used_wrap, body.ring_slots);
    unsignalled_ += body.ring_slots;
    ++unpublished_;
  }

  void Publish() override {
    StoreFlags(first_slot_, first_flags_);
    memory_->MarkDirty(Gpa{config_.descriptors + sizeof(PackedDescWire) * first_slot_},
                       sizeof(PackedDescWire));
    unpublished_ = 0;
  }

  bool WantsInterrupt() override {
    // The used descriptor must be visible before the driver's wish is read (2.8.21.3).
    FullFence();
    const uint32_t used = std::exchange(unsignalled_, 0);
    if (std::exchange(signal_next_, false)) {
      return true;
    }
    const uint16_t wish = LoadField(driver_ + offsetof(PackedEventWire, flags));
    if (wish != kEventDescriptor || !features_.event_index) {
      return wish != kEventDisable;
    }
    const uint16_t offset_wrap = LoadField(driver_ + offsetof(PackedEventWire, offset_wrap));
    auto event = static_cast<uint16_t>(offset_wrap & 0x7fff);
    if (((offset_wrap >> 15) != 0) != position_.used_wrap) {
      event = static_cast<uint16_t>(event - config_.size);  // it was asked for in the lap before this one
    }
    return EventReached(event, position_.next_used, used);
  }

  void DisableKicks() override { SetDeviceEvent(0, kEventDisable); }

  void EnableKicks() override {
    if (features_.event_index) {
      SetDeviceEvent(static_cast<uint16_t>(position_.next_avail | (position_.avail_wrap ? 0x8000 : 0)),
                     kEventDescriptor);
    } else {
      SetDeviceEvent(0, kEventEnable);
    }
    // The wish must be visible before the next slot is looked at again.
    FullFence();
  }

 private:
  uint32_t InFlight() const {  // slots that were popped and not used
    const uint32_t ahead =
        position_.next_avail + (position_.avail_wrap == position_.used_wrap ? 0U : config_.size);
    return ahead - position_.next_used;
  }
  std::byte* Slot(uint32_t index) const { return ring_ + sizeof(PackedDescWire) * index; }
  uint16_t LoadFlags(uint32_t index, int order) const {
    return __atomic_load_n(reinterpret_cast<const uint16_t*>(Slot(index) + kFlagsOffset), order);
  }
  void StoreFlags(uint32_t index, uint16_t flags) {
    __atomic_store_n(reinterpret_cast<uint16_t*>(Slot(index) + kFlagsOffset), flags, __ATOMIC_RELEASE);
  }
  static uint16_t LoadField(const std::byte* at) {
    return __atomic_load_n(reinterpret_cast<const uint16_t*>(at), __ATOMIC_RELAXED);
  }

  void Advance(uint16_t& position, bool& wrap, uint32_t slots) const {
    uint32_t next = position + slots;
    if (next >= config_.size) {
      next -= config_.size;
      wrap = !wrap;
    }
    position = static_cast<uint16_t>(next);
  }

  static RingFault Add(ChainBuilder& builder, const RingDescriptor& desc, bool first) {
    if ((desc.flags & kDescIndirect) == 0) {
      return builder.AddBuffer(desc);
    }
    // virtio 1.2, 2.8.7: a buffer is either a list in the ring or one indirect descriptor
    return first ? builder.AddPackedIndirect(desc) : RingFault::kIndirectNext;
  }

  void SetDeviceEvent(uint16_t offset_wrap, uint16_t flags) {
    std::byte* const event = device_;
    __atomic_store_n(reinterpret_cast<uint16_t*>(event + offsetof(PackedEventWire, offset_wrap)), offset_wrap,
                     __ATOMIC_RELAXED);
    // Release: a driver that sees DESC reads the offset it belongs to.
    __atomic_store_n(reinterpret_cast<uint16_t*>(event + offsetof(PackedEventWire, flags)), flags,
                     __ATOMIC_RELEASE);
    memory_->MarkDirty(Gpa{config_.device}, sizeof(PackedEventWire));
  }

  std::byte* ring_ = nullptr;
  const std::byte* driver_ = nullptr;
  std::byte* device_ = nullptr;
  uint16_t first_slot_ = 0;
  uint16_t first_flags_ = 0;
};

}  // namespace

std::unique_ptr<Ring> CreatePackedRing(const QueueConfig& config, const QueueFeatures& features,
                                       const QueuePosition& position) {
  return std::make_unique<PackedRing>(config, features, position);
}

}  // namespace nandu
