// Firmware's chore for a VGA card when no firmware runs: text mode 3 (80x25, 16 colours), as a kernel's text
// console expects to find it. Control thread, vCPUs stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "devices/display/vga_core.h"

namespace nandu {

constexpr size_t kTextFontBytes = 256 * 16;

// The 8x16 shapes in a VGA BIOS: its ROM has them as they are, 256 times 16 bytes. They are found by what
// every such font has: code 0 empty and code 1 a face. Nothing: a ROM without them.
std::optional<std::span<const uint8_t>> FindTextFont(std::span<const uint8_t> rom);

// Registers, colours and shapes; the screen is empty and the cursor in its first place.
void SetUpTextMode(VgaCore& core, std::span<const uint8_t> font);

}  // namespace nandu
