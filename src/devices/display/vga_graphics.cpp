// Graphics modes of VGA's own: planes, CGA's two bits, 256 colours. FreeVGA, "VGA graphics operation".
#include "devices/display/vga_registers.h"
#include "devices/display/vga_render.h"

namespace nandu {
namespace {

constexpr unsigned kDots = 8;  // a character

// The four planes' bytes that a character of a line is drawn from. CGA's modes have even and odd lines 8 KiB
// apart: the CRT controller puts the line's lowest bits in place of two address bits (register 17, bits 0 and
// 1; word mode moves them).
uint64_t AddressOf(const VgaState& state, uint32_t address, uint32_t row_line) {
  constexpr uint8_t kByteMode = 0x40;
  constexpr uint8_t kKeepFirst = 0x01;
  constexpr uint8_t kKeepSecond = 0x02;
  const uint8_t mode = state.crtc[vga::kCrtcMode];
  const unsigned first = (mode & kByteMode) != 0 ? 13 : 12;  // in packed addresses (vga_memory.h)
  if ((mode & kKeepFirst) == 0) {
    address = (address & ~(1U << first)) | (row_line & 1) << first;
  }
  if ((mode & kKeepSecond) == 0) {
    address = (address & ~(2U << first)) | (row_line >> 1 & 1) << (first + 1);
  }
  return uint64_t{address % vga::kPlaneBytes} * vga::kPlanes;
}

// Eight dots as colours of four bits.
void PlanarDots(const std::array<uint8_t, 4>& planes, std::array<uint8_t, kDots>* dots) {
  for (unsigned dot = 0; dot < kDots; dot++) {
    unsigned colour = 0;
    for (unsigned plane = 0; plane < vga::kPlanes; plane++) {
      colour |= (planes.at(plane) >> (7 - dot) & 1U) << plane;
    }
    dots->at(dot) = static_cast<uint8_t>(colour);
  }
}

// Two bits a dot from planes 0 and 1 in turn; planes 2 and 3 have the two above.
void InterleavedDots(const std::array<uint8_t, 4>& planes, std::array<uint8_t, kDots>* dots) {
  for (unsigned dot = 0; dot < kDots; dot++) {
    const unsigned plane = dot / 4;
    const unsigned shift = 6 - 2 * (dot % 4);
    dots->at(dot) =
        static_cast<uint8_t>((planes.at(plane) >> shift & 3) | (planes.at(plane + 2) >> shift & 3) << 2);
  }
}

}  // namespace

void RenderGraphics(const VgaState& state, std::span<const uint8_t> memory, Picture* out) {
  const VgaGeometry geometry = GeometryOf(state);
  const std::array<uint32_t, 256> palette = PaletteOf(state);
  const std::array<uint32_t, 16> colours = ColoursOf(state);
  const uint8_t mode = state.graphics[vga::kMode];
  const unsigned shown_planes = state.attribute[vga::kColourPlanes] & 0xf;
  const unsigned dot_width = geometry.dots / kDots;
  out->Resize(geometry.characters * geometry.dots, geometry.lines);
  VgaLineCounter counter(geometry);
  for (uint32_t y = 0; y < geometry.lines; y++, counter.Next()) {
    uint32_t* to = out->row(y);
    for (uint32_t column = 0; column < geometry.characters; column++) {
      const uint64_t at = AddressOf(state, counter.address() + column, counter.row_line());
      std::array<uint8_t, 4> planes{};
      for (unsigned plane = 0; plane < vga::kPlanes && at + plane < memory.size(); plane++) {
        planes.at(plane) = memory[at + plane];
      }
      std::array<uint8_t, kDots> dots{};
      if ((mode & vga::kMode256) != 0) {
        for (unsigned dot = 0; dot < kDots; dot++) {
          dots.at(dot) = planes.at(dot / 2);  // a colour takes two dots
        }
      } else if ((mode & vga::kModeInterleaved) != 0) {
        InterleavedDots(planes, &dots);
      } else {
        PlanarDots(planes, &dots);
      }
      for (const uint8_t dot : dots) {
        const uint32_t colour =
            (mode & vga::kMode256) != 0 ? palette.at(dot) : colours.at(dot & shown_planes);
        for (unsigned i = 0; i < dot_width; i++) {
          *to++ = colour;
        }
      }
    }
  }
}

}  // namespace nandu
