// The Bochs VBE extension ("dispi"): a linear framebuffer by ten 16-bit registers. Bochs, vgabios, "VBE
// Display API"; QEMU, docs/specs/standard-vga. What a card answers to a value it does not like is QEMU 7.2's.
// Under the card's lock.
#pragma once

#include <cstdint>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

namespace vbe {
constexpr unsigned kId = 0;
constexpr unsigned kXres = 1;
constexpr unsigned kYres = 2;
constexpr unsigned kBpp = 3;
constexpr unsigned kEnable = 4;
constexpr unsigned kBank = 5;
constexpr unsigned kVirtWidth = 6;
constexpr unsigned kVirtHeight = 7;
constexpr unsigned kXoffset = 8;
constexpr unsigned kYoffset = 9;
constexpr unsigned kMemory64k = 10;  // read-only
constexpr unsigned kRegisters = 11;

constexpr uint16_t kFirstId = 0xb0c0;
constexpr uint16_t kLastId = 0xb0c5;
constexpr uint16_t kEnabled = 0x01;
constexpr uint16_t kGetCapabilities = 0x02;
constexpr uint16_t k8BitDac = 0x20;
constexpr uint16_t kNoClear = 0x80;

constexpr uint16_t kMostX = 16000;
constexpr uint16_t kMostY = 12000;
constexpr uint16_t kMostBpp = 32;
constexpr uint64_t kBankBytes = 64 * 1024;
}  // namespace vbe

struct VbeState {
  uint16_t index = 0;
  uint16_t id = vbe::kLastId;
  uint16_t xres = 0;
  uint16_t yres = 0;
  uint16_t bpp = 0;
  uint16_t enable = 0;
  uint16_t bank = 0;
  uint16_t virt_width = 0;
  uint16_t virt_height = 0;
  uint16_t x_offset = 0;
  uint16_t y_offset = 0;
  bool enabled() const { return (enable & vbe::kEnabled) != 0; }
};
BOOST_DESCRIBE_STRUCT(VbeState, (),
                      (index, id, xres, yres, bpp, enable, bank, virt_width, virt_height, x_offset, y_offset))
Result<> Validate(const VbeState& state);

// Where an enabled mode's picture lies.
struct VbeLayout {
  uint64_t line_bytes = 0;
  uint64_t start = 0;  // of the picture's first pixel, bytes
};
VbeLayout LayoutOf(const VbeState& state);
// Whether all of it lies within the memory: a loaded state may name a mode that the card could not have.
bool FitsMemory(const VbeState& state, uint64_t memory_bytes);

uint16_t ReadVbe(const VbeState& state, unsigned index, uint64_t memory_bytes);

struct VbeWritten {
  bool ignored = false;      // no such register, or no such value
  uint64_t clear_bytes = 0;  // a mode was set: so many bytes from the memory's start become 0
};
VbeWritten WriteVbe(VbeState* state, unsigned index, uint16_t value, uint64_t memory_bytes);

}  // namespace nandu
