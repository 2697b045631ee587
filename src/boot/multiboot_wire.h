// What a multiboot kernel says in its file, and what it finds in memory at its start. Specification:
// Multiboot 0.6.96, 3.1 (header) and 3.3 (boot information).
#pragma once

#include <cstdint>

namespace nandu::wire {

inline constexpr uint32_t kMultibootMagic = 0x1badb002;        // in the file
inline constexpr uint32_t kMultibootLoaderMagic = 0x2badb002;  // in eax

struct MultibootHeader {
  static constexpr uint32_t kVideo = 1 << 2;  // wants a video mode
  static constexpr uint32_t kAddresses = 1
                                         << 16;  // the addresses below are valid: loaded by them, not as ELF
  uint32_t magic = 0;
  uint32_t flags = 0;
  uint32_t checksum = 0;
  uint32_t header_addr = 0;
  uint32_t load_addr = 0;
  uint32_t load_end_addr = 0;  // 0: to the end of the file
  uint32_t bss_end_addr = 0;   // 0: no bss
  uint32_t entry_addr = 0;
};
static_assert(sizeof(MultibootHeader) == 32);

struct MultibootInfo {
  static constexpr uint32_t kMemory = 1 << 0;
  static constexpr uint32_t kBootDevice = 1 << 1;
  static constexpr uint32_t kCommandLine = 1 << 2;
  static constexpr uint32_t kModules = 1 << 3;
  static constexpr uint32_t kMemoryMap = 1 << 6;
  static constexpr uint32_t kBootLoaderName = 1 << 9;
  uint32_t flags = 0;
  uint32_t mem_lower = 0;  // KiB from 0 on
  uint32_t mem_upper = 0;  // KiB from 1 MiB on, up to the first hole
  uint32_t boot_device = 0;
  uint32_t cmdline = 0;
  uint32_t mods_count = 0;
  uint32_t mods_addr = 0;
  uint32_t syms[4] = {};
  uint32_t mmap_length = 0;
  uint32_t mmap_addr = 0;
  uint32_t drives_length = 0;
  uint32_t drives_addr = 0;
  uint32_t config_table = 0;
  uint32_t boot_loader_name = 0;
  uint32_t apm_table = 0;
  uint32_t vbe[4] = {};
};
static_assert(sizeof(MultibootInfo) == 88);

struct MultibootModule {
  uint32_t start = 0;
  uint32_t end = 0;
  uint32_t string = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(MultibootModule) == 16);

struct MultibootMapEntry {
  uint32_t size = 20;  // of what follows
  uint32_t base[2] = {};
  uint32_t length[2] = {};
  uint32_t type = 0;
};
static_assert(sizeof(MultibootMapEntry) == 24);

}  // namespace nandu::wire
