#include "devices/display/vga_render.h"

#include <algorithm>

#include "devices/display/vga_registers.h"

namespace nandu {
namespace {

constexpr uint32_t kUnprogrammedWidth = 640;
constexpr uint32_t kUnprogrammedHeight = 480;

uint32_t SixToEight(uint8_t part) {
  const unsigned low = part & 1U;
  return (part & 0x3fU) << 2 | low << 1 | low;
}

void RenderBlank(const VgaState& state, Picture* out) {
  if (state.vbe.enabled()) {
    out->Resize(state.vbe.xres, state.vbe.yres);
  } else if (state.crtc[vga::kHorizontalEnd] == 0) {
    out->Resize(kUnprogrammedWidth, kUnprogrammedHeight);
  } else {
    const VgaGeometry geometry = GeometryOf(state);
    out->Resize(geometry.characters * geometry.dots, geometry.lines);
  }
}

}  // namespace

VgaScreen ScreenOf(const VgaState& state) {
  if ((state.attribute_index & vga::kAttributePaletteOn) == 0) {
    return VgaScreen::kBlank;
  }
  if (state.vbe.enabled()) {
    return VgaScreen::kLinear;
  }
  if ((state.sequencer[vga::kClocking] & vga::kClockingScreenOff) != 0 ||
      state.crtc[vga::kHorizontalEnd] == 0) {
    return VgaScreen::kBlank;
  }
  return (state.graphics[vga::kMiscellaneous] & vga::kMiscGraphics) != 0 ? VgaScreen::kGraphics
                                                                         : VgaScreen::kText;
}

VgaGeometry GeometryOf(const VgaState& state) {
  const auto& crtc = state.crtc;
  const unsigned overflow = crtc[vga::kOverflow];
  const unsigned scan = crtc[vga::kMaximumScan];
  const uint8_t clocking = state.sequencer[vga::kClocking];
  const bool text = (state.graphics[vga::kMiscellaneous] & vga::kMiscGraphics) == 0;
  VgaGeometry geometry;
  geometry.characters = crtc[vga::kHorizontalEnd] + 1U;
  geometry.dots = text && (clocking & vga::kClockingEightDots) == 0 ? 9 : 8;
  geometry.dots *= (clocking & vga::kClockingHalfRate) != 0 ? 2 : 1;
  geometry.lines = (crtc[vga::kVerticalEnd] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1U;
  geometry.start = static_cast<uint32_t>(crtc[vga::kStartHigh] << 8 | crtc[vga::kStartLow]);
  geometry.pitch = crtc[vga::kOffset] * 2U;
  geometry.row_lines = (scan & 0x1f) + 1;
  geometry.repeat = (scan & 0x80) != 0 ? 2 : 1;
  geometry.line_compare = crtc[vga::kLineCompare] | (overflow & 0x10) << 4 | (scan & 0x40) << 3;
  return geometry;
}

std::array<uint32_t, 256> PaletteOf(const VgaState& state) {
  const bool wide = state.vbe.enabled() && (state.vbe.enable & vbe::k8BitDac) != 0;
  std::array<uint32_t, 256> colours{};
  for (unsigned i = 0; i < colours.size(); i++) {
    // Every colour goes through the DAC's mask.
    const unsigned at = 3U * (i & state.pel_mask);
    uint32_t colour = 0;
    for (unsigned part = 0; part < 3; part++) {
      const uint8_t value = state.palette.at(at + part);
      colour = colour << 8 | (wide ? value : SixToEight(value));
    }
    colours.at(i) = colour;
  }
  return colours;
}

std::array<uint32_t, 16> ColoursOf(const VgaState& state) {
  const std::array<uint32_t, 256> palette = PaletteOf(state);
  const auto& attribute = state.attribute;
  const unsigned select = attribute[vga::kColourSelect];
  std::array<uint32_t, 16> colours{};
  for (unsigned i = 0; i < colours.size(); i++) {
    const unsigned value = attribute.at(i);
    const bool four_bits = (attribute[vga::kAttributeMode] & vga::kAttributeColourSelect) != 0;
    const unsigned index =
        four_bits ? (select & 0xf) << 4 | (value & 0xf) : (select & 0xc) << 4 | (value & 0x3f);
    colours.at(i) = palette.at(index);
  }
  return colours;
}

void RenderVga(const VgaState& state, std::span<const uint8_t> memory, BlinkPhase blink, Picture* out) {
  switch (ScreenOf(state)) {
    case VgaScreen::kBlank: RenderBlank(state, out); break;
    case VgaScreen::kText: RenderText(state, memory, blink, out); break;
    case VgaScreen::kGraphics: RenderGraphics(state, memory, out); break;
    case VgaScreen::kLinear: RenderLinear(state, memory, out); break;
  }
}

}  // namespace nandu
