// Linear framebuffers of the Bochs VBE extension: 4 (planes), 8 (the DAC's colours), 15, 16, 24 and 32 bits.
#include <algorithm>
#include <cstring>

#include "devices/display/vga_registers.h"
#include "devices/display/vga_render.h"

namespace nandu {
namespace {

uint32_t Widen(uint32_t value, unsigned bits) { return value << (8 - bits) | value >> (2 * bits - 8); }

uint32_t From16(uint32_t value, unsigned green_bits) {
  const uint32_t blue = value & 0x1f;
  const uint32_t green = value >> 5 & ((1U << green_bits) - 1);
  const uint32_t red = value >> (5 + green_bits) & 0x1f;
  return Widen(red, 5) << 16 | Widen(green, green_bits) << 8 | Widen(blue, 5);
}

// `bytes` of a pixel, as a number.
uint32_t LoadPixel(const uint8_t* from, unsigned bytes, bool big_endian) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes; i++) {
    value |= uint32_t{from[big_endian ? bytes - 1 - i : i]} << (8 * i);
  }
  return value;
}

void PackedRow(const VgaState& state, std::span<const uint8_t> row, const std::array<uint32_t, 256>& palette,
               std::span<uint32_t> to) {
  const unsigned bytes = (state.vbe.bpp + 7U) / 8;
  const size_t pixels = std::min(to.size(), row.size() / bytes);
  if (bytes == sizeof(uint32_t) && !state.big_endian) {
    std::memcpy(to.data(), row.data(), pixels * bytes);  // the usual case: once, for what it reads may change
    for (uint32_t& pixel : to) {
      pixel &= 0xffffff;
    }
    return;
  }
  for (size_t x = 0; x < pixels; x++) {
    const uint32_t value = LoadPixel(row.data() + x * bytes, bytes, state.big_endian);
    switch (state.vbe.bpp) {
      case 8: to[x] = palette.at(value); break;
      case 15: to[x] = From16(value, 5); break;
      case 16: to[x] = From16(value, 6); break;
      default: to[x] = value & 0xffffff; break;
    }
  }
}

// Four planes: byte A of a line is bytes 4*A to 4*A+3, eight pixels.
void PlanarRow(const VgaState& state, std::span<const uint8_t> row, std::span<uint32_t> to) {
  const std::array<uint32_t, 16> colours = ColoursOf(state);
  const size_t pixels = std::min(to.size(), row.size() * 2);
  for (size_t x = 0; x < pixels; x++) {
    unsigned colour = 0;
    for (unsigned plane = 0; plane < vga::kPlanes; plane++) {
      const size_t at = x / 8 * vga::kPlanes + plane;
      colour |= at < row.size() ? (row[at] >> (7 - x % 8) & 1U) << plane : 0U;
    }
    to[x] = colours.at(colour & state.attribute[vga::kColourPlanes]);
  }
}

}  // namespace

void RenderLinear(const VgaState& state, std::span<const uint8_t> memory, Picture* out) {
  const VbeLayout layout = LayoutOf(state.vbe);
  const std::array<uint32_t, 256> palette = PaletteOf(state);
  out->Resize(state.vbe.xres, state.vbe.yres);
  for (uint32_t y = 0; y < out->height; y++) {
    const uint64_t start = std::min<uint64_t>(layout.start + y * layout.line_bytes, memory.size());
    const uint64_t bytes = std::min(layout.line_bytes, memory.size() - start);
    const std::span<const uint8_t> row = memory.subspan(start, bytes);
    const std::span<uint32_t> to(out->row(y), out->width);
    if (state.vbe.bpp == vga::kPlanes) {
      PlanarRow(state, row, to);
    } else {
      PackedRow(state, row, palette, to);
    }
  }
}

}  // namespace nandu
