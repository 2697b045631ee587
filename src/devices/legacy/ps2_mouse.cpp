#include "devices/legacy/ps2_mouse.h"

namespace nandu {
namespace {

enum Command : uint8_t {
  kScaling11 = 0xe6,
  kScaling21 = 0xe7,
  kSetResolution = 0xe8,
  kGetStatus = 0xe9,
  kStreamMode = 0xea,
  kPoll = 0xeb,
  kLeaveWrap = 0xec,
  kEnterWrap = 0xee,
  kRemoteMode = 0xf0,
  kIdentify = 0xf2,
  kSetRate = 0xf3,
  kEnable = 0xf4,
  kDisable = 0xf5,
  kDefaults = 0xf6,
  kReset = 0xff,
};
constexpr uint8_t kRemote = 0x40;
constexpr uint8_t kReporting = 0x20;
constexpr uint8_t kDoubleScale = 0x10;
constexpr uint8_t kWheel = 3;
constexpr uint8_t kWheelAndFiveButtons = 4;
constexpr std::array<uint8_t, 3> kKnockForWheel = {200, 100, 80};
constexpr std::array<uint8_t, 3> kKnockForButtons = {200, 200, 80};
constexpr uint8_t kAtRest = 0x08;  // first byte of a packet: bit 3 is always one

}  // namespace

Result<> Validate(const Ps2MouseState& state) {
  if (state.queue.size() > Ps2Queue::kMostBytes) {
    return Fail(Errc::kCorrupt, "queue holds {} bytes, a mouse {}", state.queue.size(), Ps2Queue::kMostBytes);
  }
  if (state.type != 0 && state.type != kWheel && state.type != kWheelAndFiveButtons) {
    return Fail(Errc::kCorrupt, "type is {}, a mouse is 0, 3 or 4", state.type);
  }
  return {};
}

void Ps2Mouse::Answer(std::initializer_list<uint8_t> bytes) {
  if (!queue_.Push(bytes)) {
    counters_.dropped_answers.Add();
  }
}

// Three sample rates in a row are the knock by which a driver asks for the extended protocols.
void Ps2Mouse::NoteRate(uint8_t rate) {
  state_.sample_rate = rate;
  state_.rates = {state_.rates[1], state_.rates[2], rate};
  if (state_.rates == kKnockForWheel) {
    state_.type = kWheel;
  } else if (state_.rates == kKnockForButtons) {
    state_.type = kWheelAndFiveButtons;
  }
}

void Ps2Mouse::WriteParameter(uint8_t command, uint8_t value) {
  if (command == kSetRate) {
    NoteRate(value);
  } else {
    state_.resolution = value & 0x03;
  }
  Answer({kPs2Acknowledge});
}

void Ps2Mouse::Write(uint8_t value) {
  if (state_.awaiting != 0) {
    const uint8_t command = state_.awaiting;
    state_.awaiting = 0;
    return WriteParameter(command, value);
  }
  if (state_.wrapping && value != kLeaveWrap && value != kReset) {
    return Answer({value});
  }
  switch (value) {
    case kScaling11: state_.status &= static_cast<uint8_t>(~kDoubleScale); break;
    case kScaling21: state_.status |= kDoubleScale; break;
    case kSetResolution:
    case kSetRate: state_.awaiting = value; break;
    case kGetStatus: return Answer({kPs2Acknowledge, state_.status, state_.resolution, state_.sample_rate});
    case kStreamMode: state_.status &= static_cast<uint8_t>(~kRemote); break;
    case kPoll:
      if (state_.type == 0) {
        return Answer({kPs2Acknowledge, kAtRest, 0, 0});
      }
      return Answer({kPs2Acknowledge, kAtRest, 0, 0, 0});
    case kLeaveWrap: state_.wrapping = false; break;
    case kEnterWrap: state_.wrapping = true; break;
    case kRemoteMode: state_.status |= kRemote; break;
    case kIdentify: return Answer({kPs2Acknowledge, state_.type});
    case kEnable: state_.status |= kReporting; break;
    case kDisable: state_.status &= static_cast<uint8_t>(~kReporting); break;
    case kDefaults:
      state_.sample_rate = Ps2MouseState{}.sample_rate;
      state_.resolution = Ps2MouseState{}.resolution;
      state_.status = 0;
      break;
    case kReset: Reset(); return Answer({kPs2Acknowledge, kPs2SelfTestPassed, 0x00});
    default: counters_.unknown_commands.Add(); return Answer({kPs2Resend});
  }
  Answer({kPs2Acknowledge});
}

void Ps2Mouse::Reset() {
  state_ = Ps2MouseState{};
  queue_.Clear();
}

Ps2MouseState Ps2Mouse::Save() const {
  Ps2MouseState state = state_;
  state.queue = queue_.bytes();
  return state;
}

void Ps2Mouse::Load(const Ps2MouseState& state) {
  state_ = state;
  queue_.SetBytes(state.queue);
  state_.queue.clear();
}

}  // namespace nandu
