// Text modes: characters from plane 0, attributes from plane 1, shapes from plane 2. FreeVGA, "VGA text mode
// operation".
#include "devices/display/vga_registers.h"
#include "devices/display/vga_render.h"

namespace nandu {
namespace {

constexpr unsigned kShapeBytes = 32;  // from one character's shape to the next
constexpr unsigned kShapePlane = 2;

// Where character map `select` (0 to 7) begins in plane 2: the even ones first.
constexpr unsigned MapAddress(unsigned select) { return (select & 3) * 0x4000 + (select >> 2) * 0x2000; }

struct TextMode {
  std::array<uint32_t, 16> colours;
  unsigned maps[2];  // for attribute bit 3 clear and set
  unsigned character_dots;
  unsigned dot_width;
  bool blink;
  bool line_graphics;
  bool blinked_away;
  uint32_t cursor;  // the cell; kNoCursor: none
  unsigned cursor_first;
  unsigned cursor_last;
};
constexpr uint32_t kNoCursor = ~uint32_t{0};

TextMode ModeOf(const VgaState& state, BlinkPhase phase) {
  const unsigned map = state.sequencer[vga::kCharacterMap];
  const uint8_t clocking = state.sequencer[vga::kClocking];
  const uint8_t attribute = state.attribute[vga::kAttributeMode];
  constexpr uint8_t kCursorOff = 0x20;
  TextMode mode{};
  mode.colours = ColoursOf(state);
  mode.maps[0] = MapAddress((map & 3) | (map >> 2 & 4));
  mode.maps[1] = MapAddress((map >> 2 & 3) | (map >> 3 & 4));
  mode.character_dots = (clocking & vga::kClockingEightDots) != 0 ? 8 : 9;
  mode.dot_width = (clocking & vga::kClockingHalfRate) != 0 ? 2 : 1;
  mode.blink = (attribute & vga::kAttributeBlink) != 0;
  mode.line_graphics = (attribute & vga::kAttributeLineGraphics) != 0;
  mode.blinked_away = phase == BlinkPhase::kOff;
  const bool cursor = (state.crtc[vga::kCursorStart] & kCursorOff) == 0 && !mode.blinked_away;
  mode.cursor = cursor
                    ? static_cast<uint32_t>(state.crtc[vga::kCursorHigh] << 8 | state.crtc[vga::kCursorLow])
                    : kNoCursor;
  mode.cursor_first = state.crtc[vga::kCursorStart] & 0x1f;
  mode.cursor_last = state.crtc[vga::kCursorEnd] & 0x1f;
  return mode;
}

// One line of one character.
void DrawCell(const TextMode& mode, std::span<const uint8_t> memory, uint32_t cell, uint32_t line,
              uint32_t* to) {
  const uint64_t at = uint64_t{cell % vga::kPlaneBytes} * vga::kPlanes;
  const uint8_t character = at < memory.size() ? memory[at] : uint8_t{0};
  const uint8_t attribute = at + 1 < memory.size() ? memory[at + 1] : uint8_t{0};
  const uint64_t shape = mode.maps[attribute >> 3 & 1] + character * kShapeBytes + line;
  const uint64_t shape_at = shape * vga::kPlanes + kShapePlane;
  unsigned dots = shape_at < memory.size() ? memory[shape_at] : 0U;
  unsigned background = attribute >> 4;
  if (mode.blink) {
    background &= 7;
    dots = (attribute & 0x80) != 0 && mode.blinked_away ? 0 : dots;
  }
  const bool cursor = cell == mode.cursor && line >= mode.cursor_first && line <= mode.cursor_last;
  dots = cursor ? 0xff : dots;
  // The ninth dot is the background's, but for shapes that are to touch their neighbours, and the cursor.
  const bool touches = cursor || (mode.line_graphics && character >= 0xb0 && character <= 0xdf);
  dots = dots << 1 | (touches ? dots & 1 : 0);
  for (unsigned dot = 0; dot < mode.character_dots; dot++) {
    const uint32_t colour = mode.colours.at((dots >> (8 - dot) & 1) != 0 ? attribute & 0xf : background);
    for (unsigned i = 0; i < mode.dot_width; i++) {
      *to++ = colour;
    }
  }
}

}  // namespace

void RenderText(const VgaState& state, std::span<const uint8_t> memory, BlinkPhase blink, Picture* out) {
  const VgaGeometry geometry = GeometryOf(state);
  const TextMode mode = ModeOf(state, blink);
  out->Resize(geometry.characters * geometry.dots, geometry.lines);
  VgaLineCounter counter(geometry);
  for (uint32_t y = 0; y < geometry.lines; y++, counter.Next()) {
    uint32_t* to = out->row(y);
    for (uint32_t column = 0; column < geometry.characters; column++) {
      DrawCell(mode, memory, counter.address() + column, counter.row_line(), to);
      to += geometry.dots;
    }
  }
}

}  // namespace nandu
