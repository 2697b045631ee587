// Structures a PVH guest reads at its start. Specification: Xen, public/arch-x86/hvm/start_info.h and
// docs/misc/pvh.pandoc.
#pragma once

#include <cstdint>

namespace nandu::wire {

inline constexpr uint32_t kHvmStartMagic = 0x336ec578;
inline constexpr uint32_t kHvmStartVersion = 1;

struct HvmStartInfo {
  uint32_t magic = kHvmStartMagic;
  uint32_t version = kHvmStartVersion;
  uint32_t flags = 0;
  uint32_t module_count = 0;
  uint64_t module_list = 0;
  uint64_t command_line = 0;
  uint64_t rsdp = 0;
  uint64_t memory_map = 0;
  uint32_t memory_map_entries = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(HvmStartInfo) == 56);

struct HvmModule {
  uint64_t base = 0;
  uint64_t size = 0;
  uint64_t command_line = 0;
  uint64_t reserved = 0;
};
static_assert(sizeof(HvmModule) == 32);

struct HvmMemoryMapEntry {
  uint64_t base = 0;
  uint64_t size = 0;
  uint32_t type = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(HvmMemoryMapEntry) == 24);

}  // namespace nandu::wire
