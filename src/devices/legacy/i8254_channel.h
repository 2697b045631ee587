// One counter of an 8254: its modes, what software reads and writes, and when its output rises. Pure logic
// over a clock in nanoseconds; the caller holds the lock. Intel 8254 datasheet (231164), "Mode definitions".
//
// A count that is written while the counter runs is loaded at once, in every mode: KVM's and QEMU's do so,
// where the chip lets a running period end first.
#pragma once

#include <cstdint>
#include <optional>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

struct I8254ChannelState {
  uint8_t mode = 3;    // 0..5
  uint8_t access = 3;  // 1: low byte, 2: high byte, 3: low then high
  bool bcd = false;
  bool gate = true;
  bool counting = false;  // a count was loaded since the last control word
  uint32_t count = 0x10000;
  int64_t loaded_ns = 0;            // VM clock at which `count` was loaded or the gate started it again
  int64_t held_ns = 0;              // what had run when the gate went down, in modes 0 and 4
  bool triggered = false;           // modes 1 and 5: the gate has risen since the count was written
  std::optional<uint8_t> low_byte;  // written, and waiting for the high one
  bool read_high = false;           // the low byte was read
  std::optional<uint16_t> latched_count;
  bool latched_high = false;  // the latch's low byte was read, or access is high only
  std::optional<uint8_t> latched_status;
};

class I8254Channel {
 public:
  static constexpr int64_t kHz = 1'193'182;

  void Control(uint8_t mode, uint8_t access, bool bcd);
  void WriteByte(uint8_t value, int64_t now_ns);
  uint8_t ReadByte(int64_t now_ns);
  void LatchCount(int64_t now_ns);
  void LatchStatus(int64_t now_ns);
  void SetGate(bool high, int64_t now_ns);

  bool Output(int64_t now_ns) const;
  // The next moment after `now_ns` at which the output rises, or in mode 3 falls. None: it stays.
  std::optional<int64_t> NextEdgeNs(int64_t now_ns) const;
  bool periodic() const { return state_.mode == 2 || state_.mode == 3; }
  int64_t PeriodNs() const;

  const I8254ChannelState& state() const { return state_; }
  void Load(const I8254ChannelState& state) { state_ = state; }
  void Reset(bool gate);

 private:
  bool Running() const;  // the count goes down as time passes
  int64_t TicksAt(int64_t now_ns) const;
  uint16_t CountAt(int64_t now_ns) const;
  void LoadCount(uint16_t value, int64_t now_ns);

  I8254ChannelState state_;
};

Result<> Validate(const I8254ChannelState& state);

}  // namespace nandu
