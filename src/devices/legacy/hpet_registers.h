// Registers of the HPET. IA-PC HPET specification 1.0a, section 2.3.
#pragma once

#include <cstdint>

namespace nandu::hpet {

inline constexpr unsigned kTimers = 3;
inline constexpr uint64_t kBytes = 0x400;
inline constexpr uint64_t kBase = 0xfed00000;

inline constexpr uint64_t kCapabilities = 0x000;
inline constexpr uint64_t kConfiguration = 0x010;
inline constexpr uint64_t kInterruptStatus = 0x020;
inline constexpr uint64_t kMainCounter = 0x0f0;
inline constexpr uint64_t kFirstTimer = 0x100;
inline constexpr uint64_t kTimerStride = 0x20;
inline constexpr uint64_t kTimerConfig = 0x00;  // from a timer's base
inline constexpr uint64_t kTimerComparator = 0x08;
inline constexpr uint64_t kTimerFsbRoute = 0x10;

// General capabilities: 10 ns a tick, 64-bit counter, legacy replacement, three timers, revision 1.
inline constexpr uint64_t kPeriodFs = 10'000'000;
inline constexpr uint64_t kCapabilityBits = kPeriodFs << 32 | 0x8086a201;
inline constexpr int64_t kTickNs = 10;

// General configuration
inline constexpr uint64_t kEnable = 1 << 0;
inline constexpr uint64_t kLegacyReplacement = 1 << 1;

// Timer configuration and capabilities
inline constexpr uint64_t kLevelTriggered = 1 << 1;
inline constexpr uint64_t kInterruptEnable = 1 << 2;
inline constexpr uint64_t kPeriodic = 1 << 3;
inline constexpr uint64_t kPeriodicCapable = 1 << 4;
inline constexpr uint64_t k64BitCapable = 1 << 5;
inline constexpr uint64_t kSetAccumulator = 1 << 6;  // Tn_VAL_SET_CNF
inline constexpr uint64_t k32BitMode = 1 << 8;
inline constexpr unsigned kRouteShift = 9;
inline constexpr uint64_t kRouteMask = 0x1f;
inline constexpr uint64_t kWritable =
    kLevelTriggered | kInterruptEnable | kPeriodic | kSetAccumulator | k32BitMode | kRouteMask << kRouteShift;
inline constexpr uint64_t kRouteCapability = uint64_t{0x00ff0104} << 32;  // GSI 2, 8, 16..23, as QEMU's q35
inline constexpr uint64_t kTimerCapabilities = kRouteCapability | kPeriodicCapable | k64BitCapable;

}  // namespace nandu::hpet
