#include "devices/display/damage.h"

#include <algorithm>

namespace nandu {

DisplayRect FindDamage(const Picture& before, const Picture& after) {
  if (before.width != after.width || before.height != after.height) {
    return {0, 0, after.width, after.height};
  }
  uint32_t left = after.width;
  uint32_t right = 0;  // one past the last
  uint32_t top = after.height;
  uint32_t bottom = 0;
  for (uint32_t y = 0; y < after.height; y++) {
    const uint32_t* const old_row = before.row(y);
    const uint32_t* const new_row = after.row(y);
    const uint32_t* const end = new_row + after.width;
    const auto first = std::mismatch(new_row, end, old_row).first;
    if (first == end) {
      continue;
    }
    top = std::min(top, y);
    bottom = y + 1;
    left = std::min(left, static_cast<uint32_t>(first - new_row));
    uint32_t last = after.width;
    while (last > right && new_row[last - 1] == old_row[last - 1]) {
      last--;
    }
    right = std::max(right, last);
  }
  return bottom == 0 ? DisplayRect{} : DisplayRect{left, top, right - left, bottom - top};
}

}  // namespace nandu
