#include "devices/legacy/i8259_chip.h"

namespace nandu {
namespace {

constexpr unsigned kCascade = 2;  // the master's line that the slave pulls

// ICW1 and the commands share a port and are told apart by these bits.
constexpr uint8_t kIcw1 = 1 << 4, kOcw3 = 1 << 3;
constexpr uint8_t kIc4 = 1 << 0, kSingle = 1 << 1;
// ICW4.
constexpr uint8_t kAutoEoi = 1 << 1, kSpecialFullyNested = 1 << 4;
// OCW2: rotate, specific, EOI.
constexpr unsigned kCommandShift = 5;
constexpr uint8_t kLineMask = 7;
constexpr uint8_t kVectorMask = 0xf8;
// OCW3.
constexpr uint8_t kReadIsr = 1 << 0, kReadRegister = 1 << 1, kPoll = 1 << 2;
constexpr uint8_t kSpecialMask = 1 << 5, kSetSpecialMask = 1 << 6;
constexpr uint8_t kPollPending = 1 << 7;

uint8_t BitOf(unsigned line) { return static_cast<uint8_t>(1U << line); }

void Put(uint8_t* bits, unsigned line, bool on) {
  *bits = static_cast<uint8_t>(on ? *bits | BitOf(line) : *bits & ~BitOf(line));
}

}  // namespace

void I8259Chip::SetLine(unsigned line, bool high) {
  const bool was_high = (state_.lines & BitOf(line)) != 0;
  Put(&state_.lines, line, high);
  if ((state_.level & BitOf(line)) != 0) {
    Put(&state_.requests, line, high);
  } else if (high && !was_high) {
    Put(&state_.requests, line,
        true);  // a short pulse is not lost: the request stays until it is acknowledged
  }
}

std::optional<unsigned> I8259Chip::First(uint8_t lines) const {
  for (unsigned rank = 0; rank < kLines; rank++) {
    const unsigned line = (state_.highest + rank) & 7;
    if ((lines & BitOf(line)) != 0) {
      return line;
    }
  }
  return std::nullopt;
}

std::optional<unsigned> I8259Chip::Pending() const {
  const std::optional<unsigned> request = First(static_cast<uint8_t>(state_.requests & ~state_.masked));
  uint8_t in_service = state_.in_service;
  if (state_.special_mask) {
    in_service = static_cast<uint8_t>(in_service & ~state_.masked);
  }
  // "Special fully nested mode": further requests of a slave pass the one in service.
  if (state_.fully_nested && role_ == Role::kMaster) {
    in_service = static_cast<uint8_t>(in_service & ~BitOf(kCascade));
  }
  const std::optional<unsigned> current = First(in_service);
  if (!request || (current && RankOf(*request) >= RankOf(*current))) {
    return std::nullopt;
  }
  return request;
}

void I8259Chip::Acknowledge(unsigned line) {
  if (!state_.auto_eoi) {
    Put(&state_.in_service, line, true);
  } else if (state_.rotate_on_auto_eoi) {
    LowerPriority(line);
  }
  if ((state_.level & BitOf(line)) == 0) {
    Put(&state_.requests, line, false);
  }
}

uint8_t I8259Chip::Read(unsigned port) {
  if (state_.poll) {
    state_.poll = false;
    const std::optional<unsigned> line = Pending();
    if (!line) {
      return 0;
    }
    Acknowledge(*line);
    return static_cast<uint8_t>(kPollPending | *line);
  }
  if (port == 1) {
    return state_.masked;
  }
  return state_.read_in_service ? state_.in_service : state_.requests;
}

void I8259Chip::Write(unsigned port, uint8_t value) {
  if (port == 1) {
    WriteData(value);
  } else if ((value & kIcw1) != 0) {
    Initialise(value);
  } else if ((value & kOcw3) != 0) {
    Operate3(value);
  } else {
    Operate2(value);
  }
}

// "Initialization command words 1 and 2": edge sense is reset, masks are clear, line 7 comes last.
void I8259Chip::Initialise(uint8_t icw1) {
  I8259ChipState fresh;
  fresh.lines = state_.lines;
  fresh.level = state_.level;
  fresh.requests = static_cast<uint8_t>(state_.lines & state_.level);
  fresh.vector_base = state_.vector_base;
  fresh.init = I8259Init::kIcw2;
  fresh.single = (icw1 & kSingle) != 0;
  fresh.wants_icw4 = (icw1 & kIc4) != 0;
  // Without ICW4 all that it sets is off; with it, it is on its way.
  state_ = fresh;
}

void I8259Chip::WriteData(uint8_t value) {
  const I8259Init last = state_.wants_icw4 ? I8259Init::kIcw4 : I8259Init::kNone;
  switch (state_.init) {
    case I8259Init::kNone: state_.masked = value; return;
    case I8259Init::kIcw2:
      state_.vector_base = value & kVectorMask;
      state_.init = state_.single ? last : I8259Init::kIcw3;
      return;
    case I8259Init::kIcw3: state_.init = last; return;  // who is where is wired
    case I8259Init::kIcw4:
      state_.fully_nested = (value & kSpecialFullyNested) != 0;
      state_.auto_eoi = (value & kAutoEoi) != 0;
      state_.init = I8259Init::kNone;
      return;
  }
}

void I8259Chip::Operate2(uint8_t ocw2) {
  const auto line = static_cast<unsigned>(ocw2 & kLineMask);
  const std::optional<unsigned> current = First(state_.in_service);
  switch (ocw2 >> kCommandShift) {
    case 0b000: state_.rotate_on_auto_eoi = false; return;
    case 0b100: state_.rotate_on_auto_eoi = true; return;
    case 0b001:  // non-specific EOI
    case 0b101:  // and rotate
      if (current) {
        Put(&state_.in_service, *current, false);
        if ((ocw2 >> kCommandShift) == 0b101) {
          LowerPriority(*current);
        }
      }
      return;
    case 0b011: Put(&state_.in_service, line, false); return;
    case 0b111:
      Put(&state_.in_service, line, false);
      LowerPriority(line);
      return;
    case 0b110: LowerPriority(line); return;
    default: return;  // no operation
  }
}

void I8259Chip::Operate3(uint8_t ocw3) {
  if ((ocw3 & kPoll) != 0) {
    state_.poll = true;
  }
  if ((ocw3 & kReadRegister) != 0) {
    state_.read_in_service = (ocw3 & kReadIsr) != 0;
  }
  if ((ocw3 & kSetSpecialMask) != 0) {
    state_.special_mask = (ocw3 & kSpecialMask) != 0;
  }
}

void I8259Chip::WriteElcr(uint8_t value) {
  const auto level = static_cast<uint8_t>(value & level_possible_);
  const auto now_level = static_cast<uint8_t>(level & ~state_.level);
  // A line that becomes level-triggered requests as it stands.
  state_.requests = static_cast<uint8_t>((state_.requests & ~now_level) | (state_.lines & now_level));
  state_.level = level;
}

void I8259Chip::Reset() {
  I8259ChipState fresh;
  fresh.lines = state_.lines;
  state_ = fresh;
}

Result<> I8259Chip::Check(const I8259ChipState& state) const {
  if ((state.level & ~level_possible_) != 0) {
    return Fail(Errc::kCorrupt, "lines {:#04x} are level-triggered; of this 8259 only {:#04x} can be",
                state.level, level_possible_);
  }
  if (state.highest >= kLines || (state.vector_base & ~kVectorMask) != 0) {
    return Fail(Errc::kCorrupt, "vector base {:#x} with line {} first is no 8259's", state.vector_base,
                state.highest);
  }
  if ((state.requests & state.level & ~state.lines) != 0) {
    return Fail(Errc::kCorrupt, "level-triggered lines {:#04x} request while they are low",
                state.requests & state.level & ~state.lines);
  }
  return {};
}

}  // namespace nandu
