#include "machine/memory_map.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {

uint64_t MemoryMap::pci64_base() const { return AlignUp(kFourGiB + high_ram_bytes, uint64_t{1} << 30); }

MemoryMap MapMemory(uint64_t ram_bytes) {
  constexpr uint64_t kSplit = 0x80000000;
  const uint64_t low_limit = ram_bytes >= MemoryMap::kEcamBase ? kSplit : MemoryMap::kEcamBase;
  const uint64_t low = std::min(ram_bytes, low_limit);
  return MemoryMap{low, ram_bytes - low};
}

}  // namespace nandu
