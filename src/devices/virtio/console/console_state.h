// What a virtio-serial bus remembers beside its rings. Saved as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/described.h"
#include "base/result.h"
#include "devices/virtio/console/console_pipe.h"

namespace nandu {

// One port. The pending_* are control messages the guest had no buffer for yet: flags, so that a driver that
// asks again and again costs nothing.
struct ConsolePortState {
  uint32_t number = 0;
  bool ready = false;       // the driver knows it
  bool guest_open = false;  // a process in the guest has it open
  bool open_told = false;   // the guest was told that the host's end is open
  bool pending_add = false;
  bool pending_console = false;
  bool pending_name = false;
  bool pending_open = false;
  uint64_t transmitted = 0;          // bytes of the driver's next transmit buffer that were taken already
  std::vector<std::byte> to_host;    // written by the guest, not yet taken by the chardev
  std::vector<std::byte> for_guest;  // the other way
};
BOOST_DESCRIBE_STRUCT(ConsolePortState, (),
                      (number, ready, guest_open, open_told, pending_add, pending_console, pending_name,
                       pending_open, transmitted, to_host, for_guest))

struct ConsoleState {
  bool driver_ready = false;            // the driver asked for the ports
  std::vector<ConsolePortState> ports;  // those that exist, by number
};
BOOST_DESCRIBE_STRUCT(ConsoleState, (), (driver_ready, ports))

// Every bound of a state that came from outside; `numbers`: this bus's ports, ascending.
Result<> CheckConsoleState(const ConsoleState& state, const std::vector<uint32_t>& numbers);

}  // namespace nandu
