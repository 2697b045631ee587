#include "machine/memory_map.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {

uint64_t MemoryMap::pci64_base() const { return AlignUp(high_ram_base + high_ram_bytes, uint64_t{1} << 30); }

MemoryMap MapMemory(uint64_t ram_bytes, bool amd) {
  constexpr uint64_t kSplit = 0x80000000;
  constexpr uint64_t kHyperTransport = 0xfd00000000;
  constexpr uint64_t kOneTiB = uint64_t{1} << 40;
  const uint64_t low_limit = ram_bytes >= MemoryMap::kEcamBase ? kSplit : MemoryMap::kEcamBase;
  const uint64_t low = std::min(ram_bytes, low_limit);
  MemoryMap map;
  map.low_ram_bytes = low;
  map.high_ram_bytes = ram_bytes - low;
  if (amd && map.pci64_end() > kHyperTransport) {
    map.high_ram_base = kOneTiB;
  }
  return map;
}

}  // namespace nandu
