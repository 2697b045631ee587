// Where nandu puts what it writes for a guest that it boots without firmware. Everything below is
// guest-physical.
//
//   0x00000400  the two words of the BIOS data area that kernels read: where conventional memory ends
//   0x00001000  GDT of the entry state (four descriptors)
//   0x00002000  PVH start info, module list, memory map
//   0x00006ff0  initial stack, growing down
//   0x00007000  Linux's boot_params ("zero page")
//   0x00009000  identity-mapping page tables: PML4, PDPT, four page directories of 2 MiB pages; for a multiboot
//               kernel, which has none, its memory map and boot information, where QEMU puts them
//   0x00010000  Linux's setup_data list
//   0x00020000  kernel command line
//   0x0009fc00  end of conventional memory: 1 KiB reserved, where a BIOS keeps its extended data area
//   0x000f0000  RSDP, SMBIOS entry point and SMBIOS structures
//   low RAM end minus 128 KiB (or more): ACPI tables, reserved in the memory map
//   kernel at its preferred address (16 MiB as a rule), initrd as high as the kernel allows; a multiboot
//   kernel where its file says, its modules and strings behind it
//
// The guest may overwrite all of it once it runs, so it is written again at every reset.
#pragma once

#include <cstdint>

namespace nandu::layout {

inline constexpr uint64_t kEbdaSegmentWord = 0x40e;
inline constexpr uint64_t kBaseMemoryWord = 0x413;  // KiB
inline constexpr uint64_t kGdt = 0x1000;
inline constexpr uint64_t kPvhStartInfo = 0x2000;
inline constexpr uint64_t kPvhModules = 0x2100;
inline constexpr uint64_t kPvhMemoryMap = 0x2200;
inline constexpr uint64_t kStackTop = 0x6ff0;
inline constexpr uint64_t kZeroPage = 0x7000;
inline constexpr uint64_t kPageTables = 0x9000;
inline constexpr uint64_t kMultibootMemoryMap = 0x9000;
inline constexpr uint64_t kMultibootInfo = 0x9500;
inline constexpr uint64_t kMultibootEnd = 0xa000;  // a kernel may be loaded from here on
inline constexpr uint64_t kSetupData = 0x10000;
inline constexpr uint64_t kCommandLine = 0x20000;
inline constexpr uint64_t kCommandLineEnd = 0x90000;
inline constexpr uint64_t kConventionalEnd = 0x9fc00;  // 639 KiB
inline constexpr uint64_t kVideoMemory = 0xa0000;
inline constexpr uint64_t kBiosArea = 0xf0000;
inline constexpr uint64_t kRsdp = 0xf0000;
inline constexpr uint64_t kSmbiosEntry = 0xf0040;
inline constexpr uint64_t kSmbiosTables = 0xf0080;
inline constexpr uint64_t kSmbiosTablesEnd = 0xffff0;
inline constexpr uint64_t kMultibootBiosEnd = 0xf8000;  // and from here on: naive linkers begin before 1 MiB
inline constexpr uint64_t kOneMiB = 0x100000;
inline constexpr uint64_t kFourGiB = uint64_t{1} << 32;
inline constexpr uint64_t kAcpiMinimumBytes =
    128 * 1024;  // what SeaBIOS reserves for them, so the memory map is the same

// Selectors of the GDT at kGdt (Documentation/arch/x86/boot.rst: __BOOT_CS is 0x10, __BOOT_DS is 0x18).
inline constexpr uint16_t kCodeSelector = 0x10;
inline constexpr uint16_t kDataSelector = 0x18;
// Multiboot leaves them open; QEMU's code is 0x08 and its data 0x10.
inline constexpr uint16_t kMultibootCodeSelector = 0x08;

}  // namespace nandu::layout
