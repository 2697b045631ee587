// Feature bits that belong to the transport and the rings, and the device status bits. virtio 1.2, sections
// 6, 6.3 and 2.1.
#pragma once

#include <cstdint>

namespace nandu::virtio {

inline constexpr uint64_t kNotifyOnEmpty = 1ULL << 24;  // legacy only
inline constexpr uint64_t kAnyLayout = 1ULL << 27;      // legacy only
inline constexpr uint64_t kIndirectDesc = 1ULL << 28;
inline constexpr uint64_t kEventIndex = 1ULL << 29;
inline constexpr uint64_t kBadFeature =
    1ULL << 30;  // offered to legacy drivers, as QEMU: who accepts it accepts anything
inline constexpr uint64_t kVersion1 = 1ULL << 32;
inline constexpr uint64_t kRingPacked = 1ULL << 34;
inline constexpr uint64_t kRingReset = 1ULL << 40;

inline constexpr uint8_t kStatusAcknowledge = 1;
inline constexpr uint8_t kStatusDriver = 2;
inline constexpr uint8_t kStatusDriverOk = 4;
inline constexpr uint8_t kStatusFeaturesOk = 8;
inline constexpr uint8_t kStatusNeedsReset = 64;

inline constexpr uint16_t kNoVector = 0xffff;
inline constexpr unsigned kMaxQueues = 1024;

}  // namespace nandu::virtio
