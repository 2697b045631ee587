// VGA's registers as its ports show them: a function of the state. FreeVGA, "VGA I/O port map"; what is not
// there reads as QEMU 7.2's card. Under the card's lock.
#pragma once

#include <cstdint>

#include "devices/display/vga_state.h"

namespace nandu {

// `port`: 0x3b0 to 0x3df. Reads change the state: the attribute controller's turn, retrace, the DAC's place.
uint8_t ReadVgaPort(VgaState* state, unsigned port);
// False: nothing is there.
bool WriteVgaPort(VgaState* state, unsigned port, uint8_t value);

}  // namespace nandu
