#include "devices/legacy/i8254_channel.h"

#include <algorithm>
#include <utility>

namespace nandu {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr uint32_t kBinaryMost = 0x10000, kBcdMost = 10'000;
constexpr uint8_t kLowOnly = 1, kHighOnly = 2, kLowThenHigh = 3;
// Status byte ("Read-back command").
constexpr uint8_t kStatusOutput = 1 << 7, kStatusNullCount = 1 << 6;

// Ticks of the counter in so many nanoseconds, and the first nanosecond of a tick.
int64_t ToTicks(int64_t ns) {
  return ns / kSecondNs * I8254Channel::kHz + ns % kSecondNs * I8254Channel::kHz / kSecondNs;
}
int64_t ToNs(int64_t ticks) {
  const int64_t hz = I8254Channel::kHz;
  return ticks / hz * kSecondNs + (ticks % hz * kSecondNs + hz - 1) / hz;
}

uint32_t FromBcd(uint32_t digits) {
  uint32_t value = 0;
  for (int shift = 12; shift >= 0; shift -= 4) {
    value = value * 10 + (digits >> shift & 0xf);
  }
  return value;
}

uint16_t ToBcd(uint32_t value) {
  uint32_t digits = 0;
  for (unsigned shift = 0; shift < 16; shift += 4) {
    digits |= value % 10 << shift;
    value /= 10;
  }
  return static_cast<uint16_t>(digits);
}

}  // namespace

void I8254Channel::Control(uint8_t mode, uint8_t access, bool bcd) {
  const bool gate = state_.gate;
  state_ = I8254ChannelState{};
  state_.gate = gate;
  state_.mode = mode;
  state_.access = access;
  state_.bcd = bcd;
  state_.count = bcd ? kBcdMost : kBinaryMost;
}

void I8254Channel::LoadCount(uint16_t value, int64_t now_ns) {
  // Zero stands for the largest count.
  const uint32_t most = state_.bcd ? kBcdMost : kBinaryMost;
  const uint32_t written = state_.bcd ? FromBcd(value) % kBcdMost : value;
  state_.count = written == 0 ? most : written;
  const bool waits_for_gate = state_.mode == 1 || state_.mode == 5;
  state_.counting = true;
  if (waits_for_gate) {
    return;  // a one-shot under way goes on; the new count is the next trigger's
  }
  state_.loaded_ns = now_ns;
  state_.held_ns = 0;
}

void I8254Channel::WriteByte(uint8_t value, int64_t now_ns) {
  switch (state_.access) {
    case kLowOnly: LoadCount(value, now_ns); return;
    case kHighOnly: LoadCount(static_cast<uint16_t>(value << 8), now_ns); return;
    default: break;
  }
  if (!state_.low_byte) {
    state_.low_byte = value;
    if (state_.mode == 0) {
      state_.counting = false;  // "Mode 0": the first byte stops the counter, and its output is low
    }
    return;
  }
  const uint8_t low = *std::exchange(state_.low_byte, std::nullopt);
  LoadCount(static_cast<uint16_t>(value << 8 | low), now_ns);
}

bool I8254Channel::Running() const {
  if (!state_.counting) {
    return false;
  }
  return state_.mode == 1 || state_.mode == 5 ? state_.triggered : state_.gate;
}

int64_t I8254Channel::TicksAt(int64_t now_ns) const {
  const int64_t ran = Running() ? std::max<int64_t>(now_ns - state_.loaded_ns, 0) : 0;
  return ToTicks(state_.held_ns + ran);
}

uint16_t I8254Channel::CountAt(int64_t now_ns) const {
  const auto count = int64_t{state_.count};
  const int64_t ticks = TicksAt(now_ns);
  int64_t now = 0;
  switch (state_.mode) {
    case 2: now = count - ticks % count; break;
    case 3: now = count - 2 * ticks % count; break;  // goes down by two
    default: now = count - ticks; break;             // and on below zero
  }
  const auto most = int64_t{state_.bcd ? kBcdMost : kBinaryMost};
  now = ((now % most) + most) % most;
  return state_.bcd ? ToBcd(static_cast<uint32_t>(now)) : static_cast<uint16_t>(now);
}

void I8254Channel::LatchCount(int64_t now_ns) {
  if (!state_.latched_count) {  // a second latch before the first is read is ignored
    state_.latched_count = CountAt(now_ns);
    state_.latched_high = state_.access == kHighOnly;
  }
}

void I8254Channel::LatchStatus(int64_t now_ns) {
  if (!state_.latched_status) {
    state_.latched_status =
        static_cast<uint8_t>((Output(now_ns) ? kStatusOutput : 0) | (state_.counting ? 0 : kStatusNullCount) |
                             state_.access << 4 | state_.mode << 1 | (state_.bcd ? 1 : 0));
  }
}

uint8_t I8254Channel::ReadByte(int64_t now_ns) {
  if (state_.latched_status) {
    return *std::exchange(state_.latched_status, std::nullopt);
  }
  if (state_.latched_count) {
    const uint16_t count = *state_.latched_count;
    const bool high = state_.latched_high;
    if (high || state_.access == kLowOnly) {
      state_.latched_count.reset();
    }
    state_.latched_high = true;
    return static_cast<uint8_t>(high ? count >> 8 : count);
  }
  const uint16_t count = CountAt(now_ns);
  bool high = state_.access == kHighOnly;
  if (state_.access == kLowThenHigh) {
    high = state_.read_high;
    state_.read_high = !state_.read_high;
  }
  return static_cast<uint8_t>(high ? count >> 8 : count);
}

void I8254Channel::SetGate(bool high, int64_t now_ns) {
  if (high == state_.gate) {
    return;
  }
  const bool holds = state_.mode == 0 || state_.mode == 4;
  if (!high && holds && state_.counting) {
    state_.held_ns += std::max<int64_t>(now_ns - state_.loaded_ns, 0);
  }
  state_.gate = high;
  if (!high) {
    return;
  }
  // Modes 0 and 4 go on, the others begin anew at the rising edge.
  state_.loaded_ns = now_ns;
  if (!holds) {
    state_.held_ns = 0;
    state_.triggered = state_.counting;
  }
}

bool I8254Channel::Output(int64_t now_ns) const {
  const auto count = int64_t{state_.count};
  const int64_t ticks = TicksAt(now_ns);
  if (!state_.counting) {
    return state_.mode != 0;
  }
  switch (state_.mode) {
    case 0: return ticks >= count;
    case 1: return !state_.triggered || ticks >= count;
    case 2: return !Running() || ticks % count != count - 1;
    case 3: return !Running() || ticks % count < (count + 1) / 2;
    default: return !Running() || ticks != count;  // 4 and 5: low for one tick
  }
}

int64_t I8254Channel::PeriodNs() const { return ToNs(state_.count); }

std::optional<int64_t> I8254Channel::NextEdgeNs(int64_t now_ns) const {
  if (!Running()) {
    return std::nullopt;
  }
  const auto count = int64_t{state_.count};
  const int64_t ticks = TicksAt(now_ns);
  int64_t next = 0;
  switch (state_.mode) {
    case 0:
    case 1: next = count; break;
    case 2: next = (ticks / count + 1) * count; break;
    case 3: {
      const int64_t half = (count + 1) / 2;
      const int64_t start = ticks / count * count;
      next = ticks - start < half && half < count ? start + half : start + count;
      break;
    }
    default: next = count + 1; break;  // the strobe ends
  }
  if (next <= ticks) {
    return std::nullopt;
  }
  return state_.loaded_ns + ToNs(next) - state_.held_ns;
}

void I8254Channel::Reset(bool gate) {
  state_ = I8254ChannelState{};
  state_.gate = gate;
}

Result<> Validate(const I8254ChannelState& state) {
  // Seventy years on the VM clock: sums stay far from the end of 64 bits.
  constexpr int64_t kFarthestNs = int64_t{1} << 61;
  if (state.mode > 5 || state.access < kLowOnly || state.access > kLowThenHigh) {
    return Fail(Errc::kCorrupt, "mode {} with access {} is none of an 8254", state.mode, state.access);
  }
  if (state.count == 0 || state.count > (state.bcd ? kBcdMost : kBinaryMost)) {
    return Fail(Errc::kCorrupt, "a count of {} is none of an 8254", state.count);
  }
  if (state.loaded_ns < 0 || state.loaded_ns > kFarthestNs || state.held_ns < 0 ||
      state.held_ns > kFarthestNs) {
    return Fail(Errc::kCorrupt, "loaded-ns or held-ns lies outside any machine's life");
  }
  return {};
}

}  // namespace nandu
