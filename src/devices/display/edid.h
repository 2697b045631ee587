// What the monitor says of itself: EDID 1.4 (VESA E-EDID Standard, release A, revision 2) with a CEA-861
// extension. The monitor is the one QEMU 7.2's cards have, so that a guest that moves keeps its screen. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace nandu {

struct EdidOptions {
  uint32_t xres = 1280;  // preferred
  uint32_t yres = 800;
  uint32_t xmax = 0;  // 0: no limit
  uint32_t ymax = 0;
  uint32_t refresh_mhz = 75000;  // thousandths of a hertz
};
constexpr uint32_t kMostEdidPixels = 4095;  // of a detailed timing

std::vector<uint8_t> MakeEdid(const EdidOptions& options);  // two blocks of 128 bytes

}  // namespace nandu
