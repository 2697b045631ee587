// Split rings. virtio 1.2, 2.7. Indices run freely modulo 65536.
#include "base/checked.h"
#include "devices/virtio/full_fence.h"
#include "devices/virtio/ring.h"

namespace nandu {
namespace {

uint16_t Load16(const std::byte* at, int order = __ATOMIC_RELAXED) {
  return __atomic_load_n(reinterpret_cast<const uint16_t*>(at), order);
}
void Store16(std::byte* at, uint16_t value, int order = __ATOMIC_RELAXED) {
  __atomic_store_n(reinterpret_cast<uint16_t*>(at), value, order);
}

class SplitRing final : public Ring {
 public:
  using Ring::Ring;

  RingFault CheckLayout() const override {
    // virtio 1.2, 2.6: a power of two, at most 32768; 2.7: alignments of 16, 2 and 4
    if (!IsPowerOfTwo(config_.size) || config_.size > kMaxRingSize) {
      return RingFault::kBadSize;
    }
    const bool aligned = config_.descriptors % 16 == 0 && config_.driver % 2 == 0 && config_.device % 4 == 0;
    return aligned ? RingFault::kNone : RingFault::kMisaligned;
  }

  RingFault Map(const GuestMemory& memory) override {
    memory_ = &memory;
    table_ = memory.HostPointer(Gpa{config_.descriptors}, SplitDescBytes(config_.size), Access::kRead);
    avail_ = memory.HostPointer(Gpa{config_.driver}, AvailBytes(), Access::kRead);
    used_ = memory.HostPointer(Gpa{config_.device}, UsedBytes(), Access::kWrite);
    const bool mapped = table_ != nullptr && avail_ != nullptr && used_ != nullptr;
    return mapped ? RingFault::kNone : RingFault::kNotMapped;
  }

  RingFault Available(bool* available) override {
    // Acquire: the ring entry and the descriptors are read after the index that covers them.
    const uint16_t ahead = static_cast<uint16_t>(Load16(avail_ + 2, __ATOMIC_ACQUIRE) - position_.next_avail);
    if (ahead > config_.size) {
      return RingFault::kAvailableIndex;
    }
    *available = ahead != 0;
    return RingFault::kNone;
  }

  RingFault Take(ChainBody& body) override {
    if (static_cast<uint16_t>(position_.next_avail - position_.next_used) >= config_.size) {
      return RingFault::kOverrun;
    }
    const uint16_t head = Load16(avail_ + 4 + 2 * (position_.next_avail % config_.size));
    if (const RingFault fault = ReadChain(head, body); fault != RingFault::kNone) {
      return fault;
    }
    ++position_.next_avail;
    return RingFault::kNone;
  }

  RingFault Retake(const ParkedChain& parked, ChainBody& body) override {
    return ReadChain(parked.head, body);
  }

  void Return(const ChainBody& /*body*/) override { --position_.next_avail; }

  void Put(const ChainBody& body, uint32_t written) override {
    const size_t offset = 4 + sizeof(SplitUsedElemWire) * (position_.next_used % config_.size);
    auto* element = reinterpret_cast<uint32_t*>(used_ + offset);
    __atomic_store_n(element, uint32_t{body.id}, __ATOMIC_RELAXED);
    __atomic_store_n(element + 1, written, __ATOMIC_RELAXED);
    memory_->MarkDirty(Gpa{config_.device + offset}, sizeof(SplitUsedElemWire));
    ++position_.next_used;
    ++unpublished_;
  }

  void Publish() override {
    // Release: the elements are visible before the index that covers them.
    Store16(used_ + 2, position_.next_used, __ATOMIC_RELEASE);
    memory_->MarkDirty(Gpa{config_.device}, sizeof(SplitUsedWire));
    unsignalled_ += unpublished_;
    unpublished_ = 0;
  }

  bool WantsInterrupt() override {
    // The used index must be visible before the driver's wish is read, or both sides may wait for each other
    // (2.7.7.2).
    FullFence();
    const uint32_t used = std::exchange(unsignalled_, 0);
    if (std::exchange(signal_next_, false)) {
      return true;
    }
    // A legacy driver with NOTIFY_ON_EMPTY wants to hear of the last one whatever else it said.
    if (features_.notify_on_empty && position_.next_used == position_.next_avail &&
        Load16(avail_ + 2) == position_.next_avail) {
      return true;
    }
    if (features_.event_index) {
      return EventReached(Load16(avail_ + 4 + 2 * config_.size), position_.next_used, used);
    }
    return (Load16(avail_) & kAvailNoInterrupt) == 0;
  }

  void DisableKicks() override {
    // With the event index, an index left behind asks for no kick.
    if (!features_.event_index) {
      SetUsedField(0, kUsedNoNotify);
    }
  }

  void EnableKicks() override {
    if (features_.event_index) {
      SetUsedField(4 + sizeof(SplitUsedElemWire) * config_.size, position_.next_avail);
    } else {
      SetUsedField(0, 0);
    }
    // The wish must be visible before the index is read again (2.7.10).
    FullFence();
  }

 private:
  // The event fields exist with the feature only; a ring may end where its memory ends without them.
  uint64_t AvailBytes() const { return SplitAvailBytes(config_.size) - (features_.event_index ? 0 : 2); }
  uint64_t UsedBytes() const { return SplitUsedBytes(config_.size) - (features_.event_index ? 0 : 2); }

  void SetUsedField(size_t offset, uint16_t value) {
    Store16(used_ + offset, value);
    memory_->MarkDirty(Gpa{config_.device + offset}, sizeof(value));
  }

  RingFault ReadChain(uint16_t head, ChainBody& body) {
    if (head >= config_.size) {
      return RingFault::kHeadRange;
    }
    body.id = head;
    body.ring_slots = 1;
    ChainBuilder builder(*memory_, features_.indirect, body);
    uint16_t at = head;
    for (unsigned taken = 0; taken < config_.size; ++taken) {
      const auto wire = CopyDescriptor<SplitDescWire>(table_ + size_t{16} * at);
      const RingDescriptor desc{wire.address, wire.length, wire.flags};
      const bool indirect = (wire.flags & kDescIndirect) != 0;
      // virtio 1.2, 2.7.5.3.2: an indirect descriptor may end a chain of direct ones
      const RingFault fault = indirect ? builder.AddSplitIndirect(desc) : builder.AddBuffer(desc);
      if (fault != RingFault::kNone) {
        return fault;
      }
      if (indirect || (wire.flags & kDescNext) == 0) {
        builder.Finish();
        return RingFault::kNone;
      }
      at = wire.next;
      if (at >= config_.size) {
        return RingFault::kNextRange;
      }
    }
    return RingFault::kLoop;
  }

  const std::byte* table_ = nullptr;
  const std::byte* avail_ = nullptr;
  std::byte* used_ = nullptr;
};

}  // namespace

std::unique_ptr<Ring> CreateSplitRing(const QueueConfig& config, const QueueFeatures& features,
                                      const QueuePosition& position) {
  return std::make_unique<SplitRing>(config, features, position);
}

}  // namespace nandu
