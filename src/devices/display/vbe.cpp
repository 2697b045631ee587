#include "devices/display/vbe.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr uint16_t kPixelGroup = 8;  // widths are multiples of it

bool IsDepth(unsigned bpp) {
  return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

uint64_t BitsOf(unsigned bpp) { return bpp == 15 ? 16 : bpp; }

uint16_t WholeGroups(unsigned pixels) { return static_cast<uint16_t>(pixels - pixels % kPixelGroup); }

// What a card makes of the registers once a mode is on: the nearest mode it has.
void FitMode(VbeState* state, uint64_t memory_bytes) {
  if (!IsDepth(state->bpp)) {
    state->bpp = 8;
  }
  state->xres = std::max(kPixelGroup, WholeGroups(std::min(state->xres, vbe::kMostX)));
  state->virt_width = WholeGroups(std::max(std::min(state->virt_width, vbe::kMostX), state->xres));
  const uint64_t line = state->virt_width * BitsOf(state->bpp) / 8;
  const uint64_t lines = memory_bytes / line;
  state->yres = static_cast<uint16_t>(
      std::clamp<uint64_t>(std::min(state->yres, vbe::kMostY), 1, std::max<uint64_t>(lines, 1)));
  state->virt_height = static_cast<uint16_t>(lines);
  if (!FitsMemory(*state, memory_bytes)) {
    state->y_offset = 0;
  }
  if (!FitsMemory(*state, memory_bytes)) {
    state->x_offset = 0;
  }
}

VbeWritten Enable(VbeState* state, uint16_t value, uint64_t memory_bytes) {
  VbeWritten written;
  const bool sets_mode = (value & vbe::kEnabled) != 0 && !state->enabled();
  if (sets_mode) {
    state->virt_width = 0;
    state->x_offset = 0;
    state->y_offset = 0;
    FitMode(state, memory_bytes);
    if ((value & vbe::kNoClear) == 0) {
      written.clear_bytes = std::min(memory_bytes, LayoutOf(*state).line_bytes * state->yres);
    }
  }
  state->enable = value;
  return written;
}

}  // namespace

VbeLayout LayoutOf(const VbeState& state) {
  const uint64_t bits = BitsOf(state.bpp);
  VbeLayout layout;
  layout.line_bytes = state.virt_width * bits / 8;
  layout.start = state.y_offset * layout.line_bytes + state.x_offset * bits / 8;
  return layout;
}

bool FitsMemory(const VbeState& state, uint64_t memory_bytes) {
  const VbeLayout layout = LayoutOf(state);
  // The last line ends where the picture does, and QEMU's cards want room for all of it.
  return layout.start + layout.line_bytes * state.yres <= memory_bytes;
}

Result<> Validate(const VbeState& state) {
  if (state.id < vbe::kFirstId || state.id > vbe::kLastId) {
    return Fail(Errc::kCorrupt, "VBE identity {:#x} is none", state.id);
  }
  if (state.enabled() && (!IsDepth(state.bpp) || state.xres == 0 || state.xres > vbe::kMostX ||
                          state.yres == 0 || state.yres > vbe::kMostY || state.virt_width < state.xres)) {
    return Fail(Errc::kCorrupt, "VBE mode {}x{} of {} bits in lines of {} pixels is none", state.xres,
                state.yres, state.bpp, state.virt_width);
  }
  return {};
}

uint16_t ReadVbe(const VbeState& state, unsigned index, uint64_t memory_bytes) {
  const bool capabilities = (state.enable & vbe::kGetCapabilities) != 0;
  switch (index) {
    case vbe::kId: return state.id;
    case vbe::kXres: return capabilities ? vbe::kMostX : state.xres;
    case vbe::kYres: return capabilities ? vbe::kMostY : state.yres;
    case vbe::kBpp: return capabilities ? vbe::kMostBpp : state.bpp;
    case vbe::kEnable: return state.enable;
    case vbe::kBank: return state.bank;
    case vbe::kVirtWidth: return state.virt_width;
    case vbe::kVirtHeight: return state.virt_height;
    case vbe::kXoffset: return state.x_offset;
    case vbe::kYoffset: return state.y_offset;
    case vbe::kMemory64k: return static_cast<uint16_t>(memory_bytes / vbe::kBankBytes);
    default: return 0;
  }
}

VbeWritten WriteVbe(VbeState* state, unsigned index, uint16_t value, uint64_t memory_bytes) {
  switch (index) {
    case vbe::kId:
      if (value < vbe::kFirstId || value > vbe::kLastId) {
        return {.ignored = true};
      }
      state->id = value;
      return {};
    case vbe::kXres: state->xres = value; break;
    case vbe::kYres: state->yres = value; break;
    case vbe::kBpp: state->bpp = value; break;
    case vbe::kEnable: return Enable(state, value, memory_bytes);
    case vbe::kBank:
      state->bank = static_cast<uint16_t>(value & (memory_bytes / vbe::kBankBytes - 1));
      return {};
    case vbe::kVirtWidth: state->virt_width = value; break;
    case vbe::kXoffset: state->x_offset = value; break;
    case vbe::kYoffset: state->y_offset = value; break;
    default: return {.ignored = true};
  }
  if (state->enabled()) {
    FitMode(state, memory_bytes);
  }
  return {};
}

}  // namespace nandu
