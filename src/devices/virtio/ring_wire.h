// The rings as they lie in guest memory, little-endian. virtio 1.2, 2.7.5 to 2.7.8 (split), 2.8.13 and 2.8.14
// (packed).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu {

inline constexpr uint16_t kDescNext = 1;
inline constexpr uint16_t kDescWrite = 2;
inline constexpr uint16_t kDescIndirect = 4;
inline constexpr uint16_t kDescAvail = 1 << 7;  // packed
inline constexpr uint16_t kDescUsed = 1 << 15;  // packed

inline constexpr uint32_t kMaxRingSize = 32768;  // virtio 1.2, 2.6 and 2.8.6

struct SplitDescWire {
  uint64_t address;
  uint32_t length;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(SplitDescWire) == 16);

struct SplitAvailWire {  // followed by ring[size], used_event
  uint16_t flags;
  uint16_t index;
};
static_assert(sizeof(SplitAvailWire) == 4);

struct SplitUsedElemWire {
  uint32_t id;
  uint32_t length;
};
static_assert(sizeof(SplitUsedElemWire) == 8);

struct SplitUsedWire {  // followed by ring[size], avail_event
  uint16_t flags;
  uint16_t index;
};
static_assert(sizeof(SplitUsedWire) == 4);

inline constexpr uint16_t kAvailNoInterrupt = 1;  // split avail.flags
inline constexpr uint16_t kUsedNoNotify = 1;      // split used.flags

struct PackedDescWire {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  uint16_t flags;
};
static_assert(sizeof(PackedDescWire) == 16);

struct PackedEventWire {
  uint16_t offset_wrap;  // 15 bits of offset, the wrap counter above
  uint16_t flags;
};
static_assert(sizeof(PackedEventWire) == 4);

inline constexpr uint16_t kEventEnable = 0;  // packed event flags
inline constexpr uint16_t kEventDisable = 1;
inline constexpr uint16_t kEventDescriptor = 2;

// Bytes of a split ring's areas, with the event fields that follow them (virtio 1.2, 2.7).
constexpr uint64_t SplitDescBytes(uint32_t size) { return uint64_t{16} * size; }
constexpr uint64_t SplitAvailBytes(uint32_t size) { return 6 + uint64_t{2} * size; }
constexpr uint64_t SplitUsedBytes(uint32_t size) { return 6 + uint64_t{8} * size; }

}  // namespace nandu
