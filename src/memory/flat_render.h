// Renders mappings with priorities into sorted ranges that do not overlap. Pure; used by AddressSpace only,
// and by its test.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/flat_view.h"
#include "memory/region.h"

namespace nandu {

struct MappedRegion {
  uint64_t id = 0;  // grows with each Map: the later one wins at equal priority
  uint64_t base = 0;
  int priority = 0;
  bool enabled = true;
  bool readonly = false;  // RAM
  Region region;
  bool rom_mode = true;  // of a ROM device: memory, not its handler
};

// Mappings that are disabled or do not lie below `space_size` are left out. Adjacent ranges that continue
// each other are merged; an event is listed when every byte it listens to is its own mapping's.
std::shared_ptr<const FlatView> RenderFlatView(const std::vector<MappedRegion>& mappings, uint64_t space_size,
                                               const FlatView* previous);

// Whether [base, base + size) lies below space_size without overflow.
bool FitsSpace(uint64_t base, uint64_t size, uint64_t space_size);

}  // namespace nandu
