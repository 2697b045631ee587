#include "devices/display/vga_ports.h"

#include "devices/display/vga_registers.h"

namespace nandu {
namespace {

constexpr uint8_t kNothing = 0xff;
constexpr uint8_t kDacReading = 3;
constexpr uint8_t kPaletteParts = 3;

// Bits that are there.
constexpr std::array<uint8_t, 8> kSequencerMask = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0xff};
constexpr std::array<uint8_t, 16> kGraphicsMask = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
constexpr std::array<uint8_t, 21> kAttributeMask = {0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                    0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f};

bool IsCrtcHere(const VgaState& state, unsigned port) {
  const bool colour = (state.misc & vga::kMiscColour) != 0;
  return (port >= vga::kColourCrtcIndex) == colour;
}

bool IsStatus1(unsigned port) { return port == vga::kMonoStatus1 || port == vga::kColourStatus1; }
bool IsCrtcIndex(unsigned port) { return port == vga::kMonoCrtcIndex || port == vga::kColourCrtcIndex; }
bool IsCrtcData(unsigned port) { return port == vga::kMonoCrtcData || port == vga::kColourCrtcData; }

uint8_t ReadDac(VgaState* state) {
  const uint8_t value = state->palette.at(state->dac_read_index * kPaletteParts + state->dac_part);
  if (++state->dac_part == kPaletteParts) {
    state->dac_part = 0;
    state->dac_read_index++;
  }
  return value;
}

void WriteDac(VgaState* state, uint8_t value) {
  state->dac_latch.at(state->dac_part) = value;
  if (++state->dac_part == kPaletteParts) {
    for (unsigned i = 0; i < kPaletteParts; i++) {
      state->palette.at(state->dac_write_index * kPaletteParts + i) = state->dac_latch.at(i);
    }
    state->dac_part = 0;
    state->dac_write_index++;
  }
}

// One port takes the index, then the data; reading input status 1 makes it the index's turn.
void WriteAttribute(VgaState* state, uint8_t value) {
  if (!state->attribute_data) {
    state->attribute_index = value & 0x3f;
  } else if (const unsigned index = state->attribute_index & 0x1f; index < kAttributeMask.size()) {
    state->attribute.at(index) = value & kAttributeMask.at(index);
  }
  state->attribute_data = !state->attribute_data;
}

void WriteCrtc(VgaState* state, uint8_t value) {
  const unsigned index = state->crtc_index;
  const bool locked = (state->crtc[vga::kRetraceEnd] & vga::kRetraceEndLock) != 0;
  if (locked && index == vga::kOverflow) {
    constexpr uint8_t kLineCompareBit = 0x10;
    state->crtc[index] =
        static_cast<uint8_t>((state->crtc[index] & ~kLineCompareBit) | (value & kLineCompareBit));
  } else if (!locked || index > vga::kOverflow) {
    state->crtc.at(index) = value;
  }
}

}  // namespace

Result<> Validate(const VgaState& state) {
  for (unsigned i = 0; i < state.sequencer.size(); i++) {
    if ((state.sequencer.at(i) & ~kSequencerMask.at(i)) != 0) {
      return Fail(Errc::kCorrupt, "VGA sequencer register {} holds {:#x}", i, state.sequencer.at(i));
    }
  }
  for (unsigned i = 0; i < state.graphics.size(); i++) {
    if ((state.graphics.at(i) & ~kGraphicsMask.at(i)) != 0) {
      return Fail(Errc::kCorrupt, "VGA graphics register {} holds {:#x}", i, state.graphics.at(i));
    }
  }
  for (unsigned i = 0; i < state.attribute.size(); i++) {
    if ((state.attribute.at(i) & ~kAttributeMask.at(i)) != 0) {
      return Fail(Errc::kCorrupt, "VGA attribute register {} holds {:#x}", i, state.attribute.at(i));
    }
  }
  if (state.sequencer_index >= kSequencerMask.size() || state.graphics_index >= kGraphicsMask.size() ||
      state.attribute_index > 0x3f || state.dac_part >= kPaletteParts ||
      (state.dac_state != 0 && state.dac_state != kDacReading)) {
    return Fail(Errc::kCorrupt, "a VGA index is out of range");
  }
  return {};
}

uint8_t ReadVgaPort(VgaState* state, unsigned port) {
  if (IsStatus1(port) || IsCrtcIndex(port) || IsCrtcData(port)) {
    if (!IsCrtcHere(*state, port)) {
      return kNothing;
    }
    if (IsStatus1(port)) {
      // Whoever waits for retrace, or for its end, waits for one read: nothing here scans lines.
      state->status1 ^= vga::kStatusRetrace | vga::kStatusDisplayOff;
      state->attribute_data = false;
      return state->status1;
    }
    return IsCrtcIndex(port) ? state->crtc_index : state->crtc.at(state->crtc_index);
  }
  switch (port) {
    case vga::kAttributeIndex: return state->attribute_data ? uint8_t{0} : state->attribute_index;
    case vga::kAttributeData: {
      const unsigned index = state->attribute_index & 0x1f;
      return index < state->attribute.size() ? state->attribute.at(index) : uint8_t{0};
    }
    case vga::kSequencerIndex: return state->sequencer_index;
    case vga::kSequencerData: return state->sequencer.at(state->sequencer_index);
    case vga::kPelMask: return state->pel_mask;
    case vga::kDacReadIndex: return state->dac_state;
    case vga::kDacWriteIndex: return state->dac_write_index;
    case vga::kDacData: return ReadDac(state);
    case vga::kFeatureRead: return state->feature;
    case vga::kMiscRead: return state->misc;
    case vga::kGraphicsIndex: return state->graphics_index;
    case vga::kGraphicsData: return state->graphics.at(state->graphics_index);
    default: return port >= vga::kAttributeIndex && port < vga::kGraphicsData + 1 ? uint8_t{0} : kNothing;
  }
}

bool WriteVgaPort(VgaState* state, unsigned port, uint8_t value) {
  if (IsStatus1(port) || IsCrtcIndex(port) || IsCrtcData(port)) {
    if (!IsCrtcHere(*state, port)) {
      return false;
    }
    if (IsStatus1(port)) {
      constexpr uint8_t kFeatureWritable = 0x10;
      state->feature = value & kFeatureWritable;
    } else if (IsCrtcIndex(port)) {
      state->crtc_index = value;
    } else {
      WriteCrtc(state, value);
    }
    return true;
  }
  switch (port) {
    case vga::kAttributeIndex: WriteAttribute(state, value); return true;
    case vga::kMiscWrite: state->misc = value & vga::kMiscWritable; return true;
    case vga::kSequencerIndex: state->sequencer_index = value & 0x07; return true;
    case vga::kSequencerData:
      state->sequencer.at(state->sequencer_index) = value & kSequencerMask.at(state->sequencer_index);
      return true;
    case vga::kPelMask: state->pel_mask = value; return true;
    case vga::kDacReadIndex:
      state->dac_read_index = value;
      state->dac_part = 0;
      state->dac_state = kDacReading;
      return true;
    case vga::kDacWriteIndex:
      state->dac_write_index = value;
      state->dac_part = 0;
      state->dac_state = 0;
      return true;
    case vga::kDacData: WriteDac(state, value); return true;
    case vga::kGraphicsIndex: state->graphics_index = value & 0x0f; return true;
    case vga::kGraphicsData:
      state->graphics.at(state->graphics_index) = value & kGraphicsMask.at(state->graphics_index);
      return true;
    default: return false;
  }
}

}  // namespace nandu
