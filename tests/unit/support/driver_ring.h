// The driver's side of one virtqueue, split or packed: sends chains, well-formed or not, and reads what was
// used. One thread, which may be another than the device's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "devices/virtio/full_fence.h"
#include "devices/virtio/ring_wire.h"
#include "devices/virtio/virtqueue.h"
#include "support/fake_guest.h"

namespace nandu {

struct Used {
  uint16_t id = 0;
  uint32_t length = 0;
  bool operator==(const Used&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Used& used) {
  return out << "{id " << used.id << ", length " << used.length << "}";
}

struct SentChain {
  uint16_t id = 0;
  std::vector<RingDescriptor> buffers;
};

// What a hostile driver may do to a ring. SendMalformed knows how.
enum class Malformed : uint8_t {
  kAvailableJump,  // split
  kHeadRange,      // split
  kNextRange,      // split
  kLoop,
  kZeroLength,
  kOutsideMemory,
  kWrapsAround,  // an address whose end overflows
  kHugeLength,
  kWriteBeforeRead,
  kIndirectNested,
  kIndirectEmpty,
  kIndirectOddSize,
  kIndirectOutside,
  kIndirectAndNext,
  kIndirectLoop,       // split
  kIndirectNextRange,  // split
  kIndirectTooLong,
};
inline std::vector<Malformed> AllMalformed(bool packed) {
  std::vector<Malformed> all = {Malformed::kLoop,
                                Malformed::kZeroLength,
                                Malformed::kOutsideMemory,
                                Malformed::kWrapsAround,
                                Malformed::kHugeLength,
                                Malformed::kWriteBeforeRead,
                                Malformed::kIndirectNested,
                                Malformed::kIndirectEmpty,
                                Malformed::kIndirectOddSize,
                                Malformed::kIndirectOutside,
                                Malformed::kIndirectAndNext,
                                Malformed::kIndirectTooLong};
  if (!packed) {
    for (const Malformed split_only : {Malformed::kAvailableJump, Malformed::kHeadRange, Malformed::kNextRange,
                                       Malformed::kIndirectLoop, Malformed::kIndirectNextRange}) {
      all.push_back(split_only);
    }
  }
  return all;
}

class DriverRing {
 public:
  struct Options {
    uint16_t size = 8;
    bool packed = false;
    bool event_index = false;
    bool indirect = true;
  };

  enum class Layout : uint8_t { kModern, kLegacy };  // legacy: one piece, as virtio 1.2, 2.7.2 lays it out

  DriverRing(FakeGuest& guest, const Options& options, Layout layout = Layout::kModern)
      : guest_(guest), options_(options) {
    const uint16_t size = options.size;
    config_.size = size;
    config_.descriptors = guest.Allocate(SplitDescBytes(size), 4096);
    config_.driver =
        guest.Allocate(options.packed ? 4 : SplitAvailBytes(size), layout == Layout::kLegacy ? 2 : 4096);
    config_.device = guest.Allocate(options.packed ? 4 : SplitUsedBytes(size), 4096);
    for (uint16_t i = 0; i < size; ++i) {
      free_.push_back(i);
    }
    slots_of_id_.resize(size);
  }

  const QueueConfig& config() const { return config_; }
  const Options& options() const { return options_; }
  FakeGuest& guest() { return guest_; }
  QueueFeatures features() const { return {options_.packed, options_.event_index, options_.indirect, false}; }
  unsigned free_descriptors() const { return static_cast<unsigned>(free_.size()); }

  // ---- sending ----
  class Request {
   public:
    explicit Request(DriverRing& ring) : ring_(ring) {}
    Request& Readable(std::string_view text) {
      return At(ring_.guest_.Put(text), static_cast<uint32_t>(text.size()), 0);
    }
    template <class T>
    requires std::is_trivially_copyable_v<T> Request& Header(const T& wire) {
      return Readable(std::string_view(reinterpret_cast<const char*>(&wire), sizeof(wire)));
    }
    Request& Writable(uint32_t bytes) { return At(ring_.guest_.Allocate(bytes), bytes, kDescWrite); }
    Request& At(uint64_t address, uint32_t length, uint16_t flags) {
      buffers_.push_back({address, length, flags});
      return *this;
    }
    Request& Indirect() {
      indirect_ = true;
      return *this;
    }
    SentChain Send() {
      const SentChain sent = Place();
      ring_.Publish();
      return sent;
    }
    SentChain Place() {
      return ring_.Place(buffers_, indirect_);
    }  // without making it available: for batches

   private:
    DriverRing& ring_;
    std::vector<RingDescriptor> buffers_;
    bool indirect_ = false;
  };
  Request Chain() { return Request(*this); }

  // Makes what was placed available.
  void Publish() {
    if (options_.packed) {
      for (auto batch = placed_.rbegin(); batch != placed_.rend(); ++batch) {
        guest_.Store<uint16_t>(batch->first, batch->second);
      }
      placed_.clear();
    } else {
      guest_.Store<uint16_t>(config_.driver + 2, next_avail_);
    }
  }

  // ---- receiving ----
  std::optional<Used> NextUsed() { return options_.packed ? NextUsedPacked() : NextUsedSplit(); }
  // The writable bytes of a chain, one after the other.
  std::string BytesOf(const SentChain& sent) const {
    std::string text;
    for (const RingDescriptor& buffer : sent.buffers) {
      text += (buffer.flags & kDescWrite) != 0 ? guest_.Text(buffer.address, buffer.length) : "";
    }
    return text;
  }

  // ---- events ----
  // Whether the driver wants interrupts: flags, or with the event index from the next used one on.
  void WantInterrupts(bool wanted) {
    if (options_.packed) {
      guest_.Store<uint16_t>(config_.driver + 2, wanted ? kEventEnable : kEventDisable);
    } else if (!options_.event_index) {
      guest_.Store<uint16_t>(config_.driver, wanted ? 0 : kAvailNoInterrupt);
    } else {
      guest_.Store<uint16_t>(used_event_at(), static_cast<uint16_t>(wanted ? next_used_ : next_used_ - 1));
    }
  }
  // Event index: interrupt when the used position `ahead` of what was read so far is used.
  void WantInterruptAfter(uint16_t ahead) {
    if (!options_.packed) {
      guest_.Store<uint16_t>(used_event_at(), static_cast<uint16_t>(next_used_ + ahead));
      return;
    }
    const unsigned slot = next_used_ + ahead;
    const bool wrap = used_wrap_ != (slot >= options_.size);
    guest_.Store<uint16_t>(config_.driver, static_cast<uint16_t>(slot % options_.size | (wrap ? 0x8000 : 0)));
    guest_.Store<uint16_t>(config_.driver + 2, kEventDescriptor);
  }
  // Whether the device asked for a kick after what was published last.
  bool KickWanted() const {
    FullFence();
    if (!options_.packed) {
      if (!options_.event_index) {
        return (guest_.Load<uint16_t>(config_.device) & kUsedNoNotify) == 0;
      }
      return guest_.Load<uint16_t>(avail_event_at()) == static_cast<uint16_t>(next_avail_ - 1);
    }
    const auto flags = guest_.Load<uint16_t>(config_.device + 2);
    if (flags != kEventDescriptor) {
      return flags == kEventEnable;
    }
    const auto wish = guest_.Load<uint16_t>(config_.device);
    return wish == static_cast<uint16_t>(last_slot_ | (last_wrap_ ? 0x8000 : 0));
  }

  // ---- lying ----
  void SendMalformed(Malformed what) {
    const uint64_t beyond = guest_.size_bytes() + 0x1000;
    switch (what) {
      case Malformed::kAvailableJump:
        next_avail_ = static_cast<uint16_t>(next_avail_ + options_.size + 1);
        break;
      case Malformed::kHeadRange: PushHead(options_.size); break;
      case Malformed::kNextRange: SendRaw({{guest_.Allocate(16), 16, kDescNext}}, options_.size); return;
      case Malformed::kLoop: SendLoop(); return;
      case Malformed::kZeroLength:
        Chain().Readable("x").At(guest_.Allocate(16), 0, kDescWrite).Send();
        return;
      case Malformed::kOutsideMemory: Chain().At(beyond, 16, 0).Writable(16).Send(); return;
      case Malformed::kWrapsAround: Chain().At(~uint64_t{7}, 16, 0).Writable(16).Send(); return;
      case Malformed::kHugeLength:
        Chain().Readable("x").At(FakeGuest::kFirst, ~uint32_t{0}, kDescWrite).Send();
        return;
      case Malformed::kWriteBeforeRead: Chain().Writable(16).Readable("x").Send(); return;
      case Malformed::kIndirectNested: SendTable({{FakeGuest::kFirst, 16, kDescIndirect}}, 0, 16, 0); return;
      case Malformed::kIndirectEmpty: SendTable({{FakeGuest::kFirst, 16, 0}}, 0, 0, 0); return;
      case Malformed::kIndirectOddSize: SendTable({{FakeGuest::kFirst, 16, 0}}, 0, 17, 0); return;
      case Malformed::kIndirectOutside: SendRaw({{beyond, 16, kDescIndirect}}, 0); return;
      case Malformed::kIndirectAndNext: SendTable({{FakeGuest::kFirst, 16, 0}}, 0, 16, kDescNext); return;
      case Malformed::kIndirectLoop: SendTable({{FakeGuest::kFirst, 16, kDescNext}}, 0, 16, 0); return;
      case Malformed::kIndirectNextRange: SendTable({{FakeGuest::kFirst, 16, kDescNext}}, 1, 16, 0); return;
      case Malformed::kIndirectTooLong:
        SendTable(std::vector<RingDescriptor>(kMaxChainSegments + 1, {FakeGuest::kFirst, 16, kDescWrite}), 1,
                  16 * (kMaxChainSegments + 1), 0);
        return;
    }
    Publish();
  }
  // Descriptors exactly as given, the last one's next (split) as given too.
  void SendRaw(const std::vector<RingDescriptor>& descriptors, uint16_t last_next) {
    if (options_.packed) {
      PlacePacked(descriptors);
    } else {
      const uint16_t head = free_.front();
      for (size_t i = 0; i < descriptors.size(); ++i) {
        const bool last = i + 1 == descriptors.size();
        WriteSplit(config_.descriptors, static_cast<uint16_t>(head + i), descriptors[i],
                   last ? static_cast<uint16_t>(last_next >= options_.size ? last_next : head + last_next)
                        : static_cast<uint16_t>(head + i + 1));
      }
      PushHead(head);
    }
    Publish();
  }

 private:
  // Two descriptors that name each other; in a packed ring, every slot goes on to the next.
  void SendLoop() {
    const RingDescriptor endless{guest_.Allocate(16), 16, kDescNext};
    if (!options_.packed) {
      SendRaw({endless, endless}, 0);
      return;
    }
    WritePacked(std::vector<RingDescriptor>(options_.size, endless), 0);
    Publish();
  }

  uint64_t used_event_at() const { return config_.driver + 4 + uint64_t{2} * options_.size; }
  uint64_t avail_event_at() const { return config_.device + 4 + uint64_t{8} * options_.size; }

  SentChain Place(const std::vector<RingDescriptor>& buffers, bool indirect) {
    std::vector<RingDescriptor> ring = buffers;
    if (indirect) {
      ring = {WriteTable(buffers, true, 0)};
    } else {
      for (size_t i = 0; i + 1 < ring.size(); ++i) {
        ring[i].flags |= kDescNext;
      }
    }
    SentChain sent{options_.packed ? PlacePacked(ring) : PlaceSplit(ring), buffers};
    return sent;
  }

  uint16_t PlaceSplit(const std::vector<RingDescriptor>& ring) {
    std::vector<uint16_t> slots;
    for (size_t i = 0; i < ring.size(); ++i) {
      slots.push_back(free_.at(0));
      free_.pop_front();
    }
    for (size_t i = 0; i < ring.size(); ++i) {
      WriteSplit(config_.descriptors, slots[i], ring[i], i + 1 < ring.size() ? slots[i + 1] : 0);
    }
    slots_of_id_[slots[0]] = slots;
    PushHead(slots[0]);
    return slots[0];
  }
  void PushHead(uint16_t head) {
    guest_.Store<uint16_t>(config_.driver + 4 + uint64_t{2} * (next_avail_ % options_.size), head);
    ++next_avail_;
  }
  void WriteSplit(uint64_t table, uint16_t slot, const RingDescriptor& desc, uint16_t next) {
    const uint64_t at = table + uint64_t{16} * slot;
    guest_.Store<uint64_t>(at, desc.address);
    guest_.Store<uint64_t>(at + 8, desc.length | uint64_t{desc.flags} << 32 | uint64_t{next} << 48);
  }

  // One id per chain; as many slots as it has descriptors. All flags are written but the first one's.
  uint16_t PlacePacked(const std::vector<RingDescriptor>& ring) {
    const uint16_t id = free_.at(0);
    slots_of_id_[id].clear();
    for (size_t i = 0; i < ring.size(); ++i) {
      slots_of_id_[id].push_back(free_.at(0));
      free_.pop_front();
    }
    WritePacked(ring, id);
    return id;
  }
  void WritePacked(const std::vector<RingDescriptor>& ring, uint16_t id) {
    last_slot_ = next_avail_;
    last_wrap_ = avail_wrap_;
    for (size_t i = 0; i < ring.size(); ++i) {
      const uint64_t at = config_.descriptors + uint64_t{16} * next_avail_;
      const auto flags = static_cast<uint16_t>(ring[i].flags | (avail_wrap_ ? kDescAvail : kDescUsed));
      guest_.Store<uint64_t>(at, ring[i].address);
      guest_.Store<uint32_t>(at + 8, ring[i].length);
      guest_.Store<uint16_t>(at + 12, id);
      placed_.emplace_back(at + 14, flags);
      if (++next_avail_ == options_.size) {
        next_avail_ = 0;
        avail_wrap_ = !avail_wrap_;
      }
    }
  }

  RingDescriptor WriteTable(const std::vector<RingDescriptor>& entries, bool link, uint16_t last_next) {
    const uint64_t table = guest_.Allocate(16 * entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      RingDescriptor entry = entries[i];
      const bool last = i + 1 == entries.size();
      if (options_.packed) {
        guest_.Store<uint64_t>(table + 16 * i, entry.address);
        guest_.Store<uint64_t>(table + 16 * i + 8, entry.length | uint64_t{entry.flags} << 48);
        continue;
      }
      entry.flags = static_cast<uint16_t>(entry.flags | (link && !last ? kDescNext : 0));
      WriteSplit(table, static_cast<uint16_t>(i), entry, last ? last_next : static_cast<uint16_t>(i + 1));
    }
    return {table, static_cast<uint32_t>(16 * entries.size()), kDescIndirect};
  }
  void SendTable(const std::vector<RingDescriptor>& entries, uint16_t last_next, uint32_t length,
                 uint16_t extra_flags) {
    RingDescriptor table = WriteTable(entries, true, last_next);
    table.length = length;
    table.flags = static_cast<uint16_t>(table.flags | extra_flags);
    SendRaw({table}, 0);
  }

  std::optional<Used> NextUsedSplit() {
    if (guest_.Load<uint16_t>(config_.device + 2) == next_used_) {
      return std::nullopt;
    }
    const uint64_t at = config_.device + 4 + uint64_t{8} * (next_used_ % options_.size);
    const Used used{static_cast<uint16_t>(guest_.Load<uint32_t>(at)), guest_.Load<uint32_t>(at + 4)};
    ++next_used_;
    Free(used.id);
    return used;
  }
  std::optional<Used> NextUsedPacked() {
    const uint64_t at = config_.descriptors + uint64_t{16} * next_used_;
    const auto flags = guest_.Load<uint16_t>(at + 14);
    const bool avail = (flags & kDescAvail) != 0;
    const bool used_bit = (flags & kDescUsed) != 0;
    if (avail != used_bit || used_bit != used_wrap_) {
      return std::nullopt;
    }
    const Used used{guest_.Load<uint16_t>(at + 12), guest_.Load<uint32_t>(at + 8)};
    // An id that is not out, which a malformed chain of ours brought about, is one step all the same.
    const size_t slot = next_used_ + std::max<size_t>(slots_of_id_.at(used.id).size(), 1);
    used_wrap_ = used_wrap_ != (slot >= options_.size);
    next_used_ = static_cast<uint16_t>(slot % options_.size);
    Free(used.id);
    return used;
  }
  void Free(uint16_t id) {
    for (const uint16_t slot : slots_of_id_.at(id)) {
      free_.push_back(slot);
    }
    slots_of_id_[id].clear();
  }

  FakeGuest& guest_;
  const Options options_;
  QueueConfig config_;
  std::deque<uint16_t> free_;  // descriptors (split), ids (packed)
  std::vector<std::vector<uint16_t>> slots_of_id_;
  std::vector<std::pair<uint64_t, uint16_t>> placed_;  // packed: flags to write on Publish
  uint16_t next_avail_ = 0;
  bool avail_wrap_ = true;
  uint16_t next_used_ = 0;
  bool used_wrap_ = true;
  uint16_t last_slot_ = 0;  // packed: where the chain placed last begins
  bool last_wrap_ = true;
};

}  // namespace nandu
