// Register offsets and bits of configuration space, named as the specifications do: PCI Local Bus 3.0 chapter
// 6, PCI-to-PCI Bridge 1.2 chapter 3, PCI Express Base 5.0 chapter 7. Constants only.
#pragma once

#include <cstdint>

namespace nandu::pci {

constexpr uint16_t kConfigBytes = 256;
constexpr uint16_t kExpressConfigBytes = 4096;
constexpr uint16_t kHeaderBytes = 0x40;

constexpr uint16_t kVendorId = 0x00;
constexpr uint16_t kDeviceId = 0x02;
constexpr uint16_t kCommand = 0x04;
constexpr uint16_t kStatus = 0x06;
constexpr uint16_t kRevision = 0x08;
constexpr uint16_t kClassInterface = 0x09;
constexpr uint16_t kCacheLineSize = 0x0c;
constexpr uint16_t kHeaderType = 0x0e;
constexpr uint16_t kBar0 = 0x10;
constexpr uint16_t kSubsystemVendorId = 0x2c;
constexpr uint16_t kSubsystemId = 0x2e;
constexpr uint16_t kRomAddress = 0x30;
constexpr uint16_t kCapabilityPointer = 0x34;
constexpr uint16_t kInterruptLine = 0x3c;
constexpr uint16_t kInterruptPin = 0x3d;

constexpr uint16_t kCommandIo = 0x0001;
constexpr uint16_t kCommandMemory = 0x0002;
constexpr uint16_t kCommandMaster = 0x0004;
constexpr uint16_t kCommandSerr = 0x0100;
constexpr uint16_t kCommandIntxDisable = 0x0400;
constexpr uint16_t kCommandWritable =
    kCommandIo | kCommandMemory | kCommandMaster | kCommandSerr | kCommandIntxDisable;

constexpr uint16_t kStatusInterrupt = 0x0008;
constexpr uint16_t kStatusCapabilities = 0x0010;

constexpr uint8_t kHeaderBridge = 0x01;
constexpr uint8_t kHeaderMultifunction = 0x80;

constexpr uint32_t kRomEnable = 0x1;
constexpr uint32_t kBarIo = 0x1;
constexpr uint32_t kBar64 = 0x4;
constexpr uint32_t kBarPrefetchable = 0x8;
constexpr unsigned kBars = 6;
constexpr unsigned kBridgeBars = 2;

// Type 1 headers.
constexpr uint16_t kPrimaryBus = 0x18;
constexpr uint16_t kSecondaryBus = 0x19;
constexpr uint16_t kSubordinateBus = 0x1a;
constexpr uint16_t kIoBase = 0x1c;
constexpr uint16_t kIoLimit = 0x1d;
constexpr uint16_t kMemoryBase = 0x20;
constexpr uint16_t kMemoryLimit = 0x22;
constexpr uint16_t kPrefetchBase = 0x24;
constexpr uint16_t kPrefetchLimit = 0x26;
constexpr uint16_t kPrefetchBaseUpper = 0x28;
constexpr uint16_t kPrefetchLimitUpper = 0x2c;
constexpr uint16_t kIoBaseUpper = 0x30;
constexpr uint16_t kIoLimitUpper = 0x32;
constexpr uint16_t kBridgeControl = 0x3e;
constexpr uint16_t kBridgeSecondaryReset = 0x0040;
constexpr uint16_t kBridgeControlWritable = 0x005f;

constexpr uint8_t kCapPowerManagement = 0x01;
constexpr uint8_t kCapMsi = 0x05;
constexpr uint8_t kCapVendor = 0x09;
constexpr uint8_t kCapSubsystem = 0x0d;
constexpr uint8_t kCapExpress = 0x10;
constexpr uint8_t kCapMsix = 0x11;

// Within the PCI Express capability.
constexpr uint16_t kExpressDeviceCaps = 0x04;
constexpr uint16_t kExpressDeviceControl = 0x08;
constexpr uint16_t kExpressLinkCaps = 0x0c;
constexpr uint16_t kExpressLinkStatus = 0x12;
constexpr uint16_t kExpressSlotStatus = 0x1a;
constexpr uint32_t kDeviceCapsFlr = 1U << 28;
constexpr uint16_t kDeviceControlFlr = 1U << 15;
constexpr uint16_t kLinkStatusActive = 1U << 13;
constexpr uint16_t kSlotStatusPresent = 1U << 6;

// Within the MSI capability, with a 64-bit address and without masking.
constexpr uint16_t kMsiControl = 0x02;
constexpr uint16_t kMsiAddress = 0x04;
constexpr uint16_t kMsiAddressUpper = 0x08;
constexpr uint16_t kMsiData = 0x0c;
constexpr uint16_t kMsiBytes = 0x0e;
constexpr uint16_t kMsiControlEnable = 0x0001;
constexpr uint16_t kMsiControl64Bit = 0x0080;

// Within the MSI-X capability.
constexpr uint16_t kMsixControl = 0x02;
constexpr uint16_t kMsixControlEnable = 0x8000;
constexpr uint16_t kMsixControlMask = 0x4000;
constexpr unsigned kMsixMaxVectors = 2048;

constexpr uint8_t Slot(uint8_t devfn) { return static_cast<uint8_t>(devfn >> 3); }
constexpr uint8_t Function(uint8_t devfn) { return devfn & 7; }
constexpr uint8_t DevFn(unsigned slot, unsigned function) {
  return static_cast<uint8_t>(slot << 3 | function);
}

}  // namespace nandu::pci
