#include "boot/e820.h"

#include <algorithm>

#include "boot/layout.h"

namespace nandu {
namespace {

// Holes of the board that no driver may take: the root complex registers of the ICH9, the pages KVM needs for
// real mode on Intel (identity map and TSS), and the end of the firmware window.
constexpr E820Entry kBoardRanges[] = {
    {0xfed1c000, 0x4000, E820Type::kReserved},
    {0xfeffc000, 0x4000, E820Type::kReserved},
    {0xfffc0000, 0x40000, E820Type::kReserved},
};

// AMD I/O virtualization (48882), table 3: special address controls of HyperTransport.
constexpr E820Entry kHyperTransport = {0xfd00000000, 0x300000000, E820Type::kReserved};

}  // namespace

std::vector<E820Entry> BuildE820(const MemoryLayout& memory, uint64_t acpi_bytes) {
  const uint64_t usable_end = memory.low_ram_bytes > acpi_bytes ? memory.low_ram_bytes - acpi_bytes : 0;
  std::vector<E820Entry> map;
  map.push_back({0, layout::kConventionalEnd, E820Type::kRam});
  map.push_back(
      {layout::kConventionalEnd, layout::kVideoMemory - layout::kConventionalEnd, E820Type::kReserved});
  map.push_back({layout::kBiosArea, layout::kOneMiB - layout::kBiosArea, E820Type::kReserved});
  if (usable_end > layout::kOneMiB) {
    map.push_back({layout::kOneMiB, usable_end - layout::kOneMiB, E820Type::kRam});
    map.push_back({usable_end, acpi_bytes, E820Type::kReserved});
  }
  map.push_back({memory.ecam_base, memory.ecam_bytes, E820Type::kReserved});
  map.insert(map.end(), std::begin(kBoardRanges), std::end(kBoardRanges));
  if (memory.high_ram_bytes != 0) {
    map.push_back({memory.high_ram_base, memory.high_ram_bytes, E820Type::kRam});
  }
  if (memory.hypertransport_hole) {
    map.push_back(kHyperTransport);
  }
  std::ranges::sort(map, {}, &E820Entry::base);
  return map;
}

}  // namespace nandu
