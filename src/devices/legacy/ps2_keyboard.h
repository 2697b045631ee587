// A PS/2 keyboard (MF2) as its controller talks to it: identification, reset, scan code sets, LEDs, typematic
// rate. IBM PS/2 Hardware Interface Technical Reference, "Keyboard, commands from the system". Guarded by the
// controller's lock.
#pragma once

#include <cstdint>
#include <vector>

#include "base/counter.h"
#include "base/result.h"
#include "devices/legacy/ps2_port.h"

namespace nandu {

struct Ps2KeyboardState {
  std::vector<uint8_t> queue;
  uint8_t awaiting = 0;  // the command whose parameter comes next; 0: none
  uint8_t leds = 0;
  uint8_t scan_code_set = 2;
  uint8_t typematic = 0x2b;
  bool scanning = true;
};
Result<> Validate(const Ps2KeyboardState& state);

class Ps2Keyboard {
 public:
  struct Counters {
    Counter unknown_commands;
    Counter dropped_answers;
  };
  // A byte from the host. `translated`: the controller turns scan code set 2 into set 1, which changes two
  // answers.
  void Write(uint8_t value, bool translated);
  void Reset();
  Ps2Queue& queue() { return queue_; }
  Ps2KeyboardState Save() const;
  void Load(const Ps2KeyboardState& state);
  const Counters& counters() const { return counters_; }

 private:
  void Answer(std::initializer_list<uint8_t> bytes);
  void WriteParameter(uint8_t command, uint8_t value, bool translated);
  void SetDefaults();

  Ps2KeyboardState state_;  // but for the queue
  Ps2Queue queue_;
  Counters counters_;
};

}  // namespace nandu
