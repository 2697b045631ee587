// Everything a VGA card's registers hold. Plain data: saved, loaded, and drawn from. The card's memory is a
// RAM block beside it.
#pragma once

#include <array>
#include <cstdint>

#include "base/described.h"
#include "base/result.h"
#include "devices/display/vbe.h"

namespace nandu {

struct VgaState {
  uint8_t sequencer_index = 0;
  std::array<uint8_t, 8> sequencer = {};
  uint8_t graphics_index = 0;
  std::array<uint8_t, 16> graphics = {};
  uint8_t attribute_index = 0;
  bool attribute_data = false;  // the next write to 3c0 is data
  std::array<uint8_t, 21> attribute = {};
  uint8_t crtc_index = 0;
  std::array<uint8_t, 256> crtc = {};
  uint8_t misc = 0;
  uint8_t feature = 0;
  uint8_t status1 = 0;
  uint8_t pel_mask = 0xff;
  uint8_t dac_state = 0;  // what 3c7 reads: 0 writing, 3 reading
  uint8_t dac_part = 0;   // red, green, blue
  uint8_t dac_read_index = 0;
  uint8_t dac_write_index = 0;
  std::array<uint8_t, 3> dac_latch = {};  // written so far
  std::array<uint8_t, 768> palette = {};  // as written: six bits a part, or eight
  uint32_t latch = 0;                     // plane 0 lowest
  bool big_endian = false;                // pixels of a linear framebuffer
  VbeState vbe;
};
BOOST_DESCRIBE_STRUCT(VgaState, (),
                      (sequencer_index, sequencer, graphics_index, graphics, attribute_index, attribute_data,
                       attribute, crtc_index, crtc, misc, feature, status1, pel_mask, dac_state, dac_part,
                       dac_read_index, dac_write_index, dac_latch, palette, latch, big_endian, vbe))
Result<> Validate(const VgaState& state);

}  // namespace nandu
