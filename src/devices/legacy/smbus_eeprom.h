// A 256-byte serial EEPROM on the SMBus, as memory modules carry one for their Serial Presence Detect data.
// SMBus 2.0, section 5.5 (the protocols it answers); JEDEC 21-C, 4.1.4 (its addresses, 0x50 to 0x57). The
// host controller's lock guards it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/described.h"

namespace nandu {

// A q35 board of QEMU's has eight of them, and nothing is written on them: every byte is zero until a guest
// writes one.
struct SmbusEepromState {
  std::array<std::byte, 256> bytes = {};
  uint8_t position = 0;  // of the next byte received
};
BOOST_DESCRIBE_STRUCT(SmbusEepromState, (), (bytes, position))

class SmbusEeprom {
 public:
  // The first byte sets the position, what follows is stored from there on; both wrap around.
  void Write(uint8_t position, std::span<const uint8_t> bytes) {
    state_.position = position;
    for (const uint8_t byte : bytes) {
      state_.bytes[state_.position++] = std::byte{byte};
    }
  }
  uint8_t Receive() { return static_cast<uint8_t>(state_.bytes[state_.position++]); }

  const SmbusEepromState& state() const { return state_; }
  void set_state(const SmbusEepromState& state) { state_ = state; }

 private:
  SmbusEepromState state_;
};

}  // namespace nandu
