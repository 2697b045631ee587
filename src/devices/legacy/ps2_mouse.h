// A PS/2 mouse with wheel and five buttons (IMPS/2, ImEx) as its controller talks to it: identification,
// reset, rate, resolution, status. IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft's
// IntelliMouse extension by sample rates. Guarded by the controller's lock.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counter.h"
#include "base/result.h"
#include "devices/legacy/ps2_port.h"

namespace nandu {

struct Ps2MouseState {
  std::vector<uint8_t> queue;
  uint8_t awaiting = 0;  // the command whose parameter comes next; 0: none
  uint8_t status = 0;    // remote mode 0x40, reporting 0x20, scaling 2:1 0x10
  uint8_t resolution = 2;
  uint8_t sample_rate = 100;
  uint8_t type = 0;  // what it identifies as: 0 plain, 3 wheel, 4 wheel and five buttons
  bool wrapping = false;
  std::array<uint8_t, 3> rates = {};  // the last sample rates, newest last
};
Result<> Validate(const Ps2MouseState& state);

class Ps2Mouse {
 public:
  struct Counters {
    Counter unknown_commands;
    Counter dropped_answers;
  };
  void Write(uint8_t value);
  void Reset();
  Ps2Queue& queue() { return queue_; }
  Ps2MouseState Save() const;
  void Load(const Ps2MouseState& state);
  const Counters& counters() const { return counters_; }

 private:
  void Answer(std::initializer_list<uint8_t> bytes);
  void WriteParameter(uint8_t command, uint8_t value);
  void NoteRate(uint8_t rate);

  Ps2MouseState state_;  // but for the queue
  Ps2Queue queue_;
  Counters counters_;
};

}  // namespace nandu
