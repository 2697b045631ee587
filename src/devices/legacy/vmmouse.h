// VMware's mouse behind the backdoor port: a queue of packets a guest asks for. As QEMU 7.2 has it; the
// commands are those of Linux, drivers/input/mouse/vmmouse.c. The port's lock guards it.
//
// Nobody moves it: there is no display to move it over yet.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"

namespace nandu {

struct VmmouseState {
  std::vector<uint32_t> queue;
  uint16_t status = 0xffff;  // disabled, or in error
  bool absolute = false;     // what the guest asked to be told
};
BOOST_DESCRIBE_STRUCT(VmmouseState, (), (queue, status, absolute))
Result<> Validate(const VmmouseState& state);

class Vmmouse {
 public:
  static constexpr size_t kMostWords = 1024;
  struct Counters {
    Counter bad_reads;  // of more words than there are
    Counter unknown_commands;
  };
  // EAX, EBX, ECX, EDX, ESI, EDI.
  using Registers = std::array<uint32_t, 6>;

  uint32_t Status() const {
    return uint32_t{state_.status} << 16 | static_cast<uint32_t>(state_.queue.size());
  }
  void Command(uint32_t command);
  void Take(Registers* registers);  // as many words as EBX says, into the registers from EAX on
  void Reset() { state_ = VmmouseState{}; }

  const VmmouseState& state() const { return state_; }
  void set_state(const VmmouseState& state) { state_ = state; }
  const Counters& counters() const { return counters_; }

 private:
  VmmouseState state_;
  Counters counters_;
};

}  // namespace nandu
