// Modes as a BIOS programs them, for tests: registers through ports, by a function that writes one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "devices/display/vga_ports.h"
#include "devices/display/vga_registers.h"
#include "devices/display/vga_state.h"

namespace nandu {

struct VgaMode {
  uint8_t misc;
  std::vector<uint8_t> sequencer;
  std::vector<uint8_t> crtc;
  std::vector<uint8_t> graphics;
  std::vector<uint8_t> attribute;
};

// 80x25 characters of 9x16.
inline VgaMode TextMode() {
  return {0x67,
          {3, 0, 3, 0, 2},
          {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,    0x4f, 0x20, 0x0e, 0,
           0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
          {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff},
          {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x0c, 0, 0x0f, 8, 0}};
}
// 640x480, 16 colours.
inline VgaMode PlanarMode() {
  return {0xe3,
          {3, 1, 0x0f, 0, 6},
          {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0,    0x40, 0,    0,   0,
           0,    0,    0,    0xea, 0x8c, 0xdf, 0x28, 0,    0xe7, 4,    0xe3, 0xff},
          {0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff},
          {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 0, 0x0f, 0, 0}};
}
// 320x200, 256 colours ("13h").
inline VgaMode LinearMode() {
  return {0x63,
          {3, 1, 0x0f, 0, 0x0e},
          {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0,    0x41, 0,    0,   0,
           0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
          {0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff},
          {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0, 0}};
}
// 320x200, four colours (CGA's 4).
inline VgaMode CgaMode() {
  return {0x63,
          {3, 9, 3, 0, 2},
          {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0,    0xc1, 0,    0,   0,
           0,    0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0,    0x96, 0xb9, 0xa2, 0xff},
          {0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff},
          {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 0, 3, 0, 0}};
}

using OutByte = std::function<void(unsigned port, uint8_t value)>;

inline void SetIndexed(const OutByte& out, unsigned port, unsigned index, uint8_t value) {
  out(port, static_cast<uint8_t>(index));
  out(port + 1, value);
}

// The attribute controller waits for an index, as after a reset or a read of input status 1.
inline void SetMode(const OutByte& out, const VgaMode& mode) {
  out(vga::kMiscWrite, mode.misc);
  for (unsigned i = 0; i < mode.sequencer.size(); i++) {
    SetIndexed(out, vga::kSequencerIndex, i, mode.sequencer[i]);
  }
  SetIndexed(out, vga::kColourCrtcIndex, vga::kRetraceEnd, 0);
  for (unsigned i = 0; i < mode.crtc.size(); i++) {
    SetIndexed(out, vga::kColourCrtcIndex, i, mode.crtc[i]);
  }
  for (unsigned i = 0; i < mode.graphics.size(); i++) {
    SetIndexed(out, vga::kGraphicsIndex, i, mode.graphics[i]);
  }
  for (unsigned i = 0; i < mode.attribute.size(); i++) {
    out(vga::kAttributeIndex, static_cast<uint8_t>(i));
    out(vga::kAttributeIndex, mode.attribute[i]);
  }
  out(vga::kAttributeIndex, vga::kAttributePaletteOn);
}

// A DAC whose colour N is (N, N + 1, N + 2), six bits each.
inline void SetRampPalette(const OutByte& out) {
  out(vga::kDacWriteIndex, 0);
  for (unsigned i = 0; i < 256; i++) {
    for (unsigned part = 0; part < 3; part++) {
      out(vga::kDacData, static_cast<uint8_t>((i + part) & 0x3f));
    }
  }
}
constexpr uint32_t Six(uint32_t value) { return (value & 0x3f) << 2 | (value & 1) * 3; }
constexpr uint32_t RampColour(uint32_t index) {
  return Six(index) << 16 | Six(index + 1) << 8 | Six(index + 2);
}

// The state alone, programmed.
inline VgaState StateIn(const VgaMode& mode) {
  VgaState state;
  const OutByte out = [&state](unsigned port, uint8_t value) {
    EXPECT_TRUE(WriteVgaPort(&state, port, value)) << port;
  };
  SetMode(out, mode);
  SetRampPalette(out);
  return state;
}

}  // namespace nandu
