// Draws what a VGA card's registers and memory show, dot by dot. Pure functions: any thread, on a copy of the
// state.
//
// As QEMU 7.2's card shows it where a monitor would be free to differ: six bits of a colour become eight by
// repeating the lowest. Left out: panning, the preset row scan, interlace, underlining, which QEMU's card has
// not either.
#pragma once

#include <cstdint>
#include <span>

#include <nandu/display.h>

#include "devices/display/vga_state.h"

namespace nandu {

enum class BlinkPhase : uint8_t { kOn, kOff };  // what blinks is there, or is not

// What the registers alone say of the picture.
enum class VgaScreen : uint8_t { kBlank, kText, kGraphics, kLinear };
VgaScreen ScreenOf(const VgaState& state);

// How many bytes from the memory's start every mode but the linear ones may show.
constexpr uint64_t kVgaShownBytes = 256 * 1024;

// The state is a valid one; a mode that does not lie in `memory` is drawn as far as it does. A screen that
// nobody has programmed is 640x480 and black.
void RenderVga(const VgaState& state, std::span<const uint8_t> memory, BlinkPhase blink, Picture* out);

// ---- the parts of it ----
struct VgaGeometry {
  uint32_t characters = 0;  // a line
  uint32_t dots = 0;        // a character, doubled ones twice
  uint32_t lines = 0;
  uint32_t start = 0;      // of the first line; planes' addresses
  uint32_t pitch = 0;      // from a row to the next
  uint32_t row_lines = 1;  // lines of a row, each shown `repeat` times
  uint32_t repeat = 1;
  uint32_t line_compare = 0;  // the last line before the screen splits
};
VgaGeometry GeometryOf(const VgaState& state);
std::array<uint32_t, 256> PaletteOf(const VgaState& state);  // xRGB, of the DAC
std::array<uint32_t, 16> ColoursOf(const VgaState& state);   // of four bits
void RenderText(const VgaState& state, std::span<const uint8_t> memory, BlinkPhase blink, Picture* out);
void RenderGraphics(const VgaState& state, std::span<const uint8_t> memory, Picture* out);
void RenderLinear(const VgaState& state, std::span<const uint8_t> memory, Picture* out);

// Which row of memory a line of the screen shows, as the CRT controller counts.
class VgaLineCounter {
 public:
  explicit VgaLineCounter(const VgaGeometry& geometry) : geometry_(geometry), address_(geometry.start) {}
  uint32_t address() const { return address_; }    // of the row's first character
  uint32_t row_line() const { return row_line_; }  // of the row
  void Next() {
    if (line_++ == geometry_.line_compare) {
      address_ = 0;
      row_line_ = 0;
      shown_ = 0;
    } else if (++shown_ == geometry_.repeat) {
      shown_ = 0;
      if (++row_line_ == geometry_.row_lines) {
        row_line_ = 0;
        address_ += geometry_.pitch;
      }
    }
  }

 private:
  const VgaGeometry& geometry_;
  uint32_t line_ = 0;
  uint32_t address_;
  uint32_t row_line_ = 0;
  uint32_t shown_ = 0;
};

}  // namespace nandu
