// virtio over PCI: registers and capabilities. virtio 1.2, sections 4.1.4 (modern) and 4.1.4.8 (legacy); BARs
// and offsets as QEMU 7.2's.
#pragma once

#include <cstdint>

namespace nandu::virtio {

// ---- the function ----
inline constexpr uint16_t kVendorId = 0x1af4;
inline constexpr uint16_t kModernDeviceId = 0x1040;     // + type
inline constexpr uint16_t kModernSubsystemId = 0x1100;  // QEMU's; a transitional device has its type here
inline constexpr unsigned kLegacyBar = 0;
inline constexpr unsigned kMsixBar = 1;
inline constexpr unsigned kModernBar = 4;

// ---- the modern BAR ----
inline constexpr uint64_t kModernBarBytes = 0x4000;
inline constexpr uint64_t kCommonOffset = 0x0000;
inline constexpr uint64_t kIsrOffset = 0x1000;
inline constexpr uint64_t kDeviceOffset = 0x2000;
inline constexpr uint64_t kNotifyOffset = 0x3000;
inline constexpr uint32_t kRegionBytes = 0x1000;
inline constexpr uint32_t kNotifyMultiplier = 4;

enum class CapType : uint8_t { kCommon = 1, kNotify = 2, kIsr = 3, kDevice = 4, kPciConfig = 5 };

// Common configuration (4.1.4.3).
inline constexpr uint64_t kDeviceFeatureSelect = 0;
inline constexpr uint64_t kDeviceFeature = 4;
inline constexpr uint64_t kDriverFeatureSelect = 8;
inline constexpr uint64_t kDriverFeature = 12;
inline constexpr uint64_t kConfigVector = 16;
inline constexpr uint64_t kNumQueues = 18;
inline constexpr uint64_t kDeviceStatus = 20;
inline constexpr uint64_t kConfigGeneration = 21;
inline constexpr uint64_t kQueueSelect = 22;
inline constexpr uint64_t kQueueSize = 24;
inline constexpr uint64_t kQueueVector = 26;
inline constexpr uint64_t kQueueEnable = 28;
inline constexpr uint64_t kQueueNotifyOff = 30;
inline constexpr uint64_t kQueueDescriptors = 32;  // 64 bits as two halves, as the next two
inline constexpr uint64_t kQueueDriver = 40;
inline constexpr uint64_t kQueueDevice = 48;
inline constexpr uint64_t kQueueReset = 58;

// ---- the legacy I/O BAR ----
inline constexpr uint64_t kLegacyHostFeatures = 0;
inline constexpr uint64_t kLegacyGuestFeatures = 4;
inline constexpr uint64_t kLegacyQueuePage = 8;
inline constexpr uint64_t kLegacyQueueSize = 12;
inline constexpr uint64_t kLegacyQueueSelect = 14;
inline constexpr uint64_t kLegacyQueueNotify = 16;
inline constexpr uint64_t kLegacyStatus = 18;
inline constexpr uint64_t kLegacyIsr = 19;
inline constexpr uint64_t kLegacyConfigVector = 20;  // while MSI-X is enabled
inline constexpr uint64_t kLegacyQueueVector = 22;
inline constexpr uint64_t kLegacyConfig = 20;  // and 24 while MSI-X is enabled
inline constexpr uint64_t kLegacyConfigMsix = 24;
inline constexpr unsigned kLegacyPageShift = 12;
inline constexpr uint64_t kLegacyAlignment = 4096;

inline constexpr uint8_t kIsrQueue = 1;
inline constexpr uint8_t kIsrConfig = 2;

}  // namespace nandu::virtio
