// The window at 0xa0000 onto the card's memory: planes, latches, write and read modes, chaining, banks.
// FreeVGA, "Accessing the VGA display memory". Under the card's lock.
//
// Byte A of plane P is byte 4*A+P of the memory. Addresses that a chain takes bits of are packed (chain 4:
// byte A; odd/even: word A of planes 0 and 1 is at 4*A), as QEMU's card and the linear framebuffer have them,
// so the CRT controller's word and double word modes, which undo the gaps, make no difference.
#pragma once

#include <cstdint>
#include <span>

#include "devices/display/vga_state.h"

namespace nandu {

// A part of the window that is plain memory: chain 4 with all planes on, and every VBE mode but 4 bits.
struct VgaDirectWindow {
  uint64_t base = 0;    // offset in the window
  uint64_t size = 0;    // 0: none
  uint64_t memory = 0;  // offset in the card's memory
  bool operator==(const VgaDirectWindow&) const = default;
};
VgaDirectWindow DirectWindow(const VgaState& state, uint64_t memory_bytes);

// `offset`: from 0xa0000, below 0x20000. Reads fill the latches. All ones where the window shows nothing.
uint8_t ReadVgaWindow(VgaState* state, std::span<const uint8_t> memory, uint64_t offset);
struct VgaWindowWritten {
  uint64_t at = 0;
  uint64_t bytes = 0;  // 0: nothing was written
};
VgaWindowWritten WriteVgaWindow(const VgaState& state, std::span<uint8_t> memory, uint64_t offset,
                                uint8_t value);

}  // namespace nandu
