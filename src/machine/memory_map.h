// Where RAM, ECAM and the PCI windows of a q35 lie, as QEMU 7.2 lays them out: a guest that moves keeps its
// addresses.
#pragma once

#include <cstdint>

namespace nandu {

struct MemoryMap {
  static constexpr uint64_t kEcamBase = 0xb0000000;
  static constexpr uint64_t kEcamBytes = 0x10000000;
  static constexpr uint64_t kFourGiB = uint64_t{1} << 32;
  static constexpr uint64_t kIoApicBase = 0xfec00000;
  static constexpr uint64_t kHpetBase = 0xfed00000;
  static constexpr uint64_t kLocalApicBase = 0xfee00000;

  static constexpr uint64_t kPci64Bytes = uint64_t{32} << 30;  // room for 64-bit BARs

  uint64_t low_ram_bytes = 0;         // [0, low)
  uint64_t high_ram_bytes = 0;        // [base, base + high)
  uint64_t high_ram_base = kFourGiB;  // or 1 TiB

  uint64_t pci32_base() const { return kEcamBase + kEcamBytes; }  // 32-bit BARs: up to the IOAPIC
  uint64_t pci32_end() const { return kIoApicBase; }
  uint64_t pci64_base() const;  // 64-bit BARs: above RAM, at a multiple of 1 GiB
  uint64_t pci64_end() const { return pci64_base() + kPci64Bytes; }
};

// RAM below 2.75 GiB stays below ECAM in one piece; more is split at 2 GiB. AMD's processors keep the 12 GiB below
// 1 TiB for HyperTransport (AMD I/O virtualization, 48882, table 3): where memory and the room for 64-bit BARs would
// reach them (`amd`), all that is above 4 GiB begins at 1 TiB.
MemoryMap MapMemory(uint64_t ram_bytes, bool amd);

}  // namespace nandu
