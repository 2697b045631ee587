#include "devices/legacy/ps2_keyboard.h"

namespace nandu {
namespace {

enum Command : uint8_t {
  kSetLeds = 0xed,
  kEcho = 0xee,
  kScanCodeSet = 0xf0,
  kIdentify = 0xf2,
  kSetTypematic = 0xf3,
  kEnable = 0xf4,
  kDisable = 0xf5,
  kDefaults = 0xf6,
  kAllTypematic = 0xf7,  // f7..fa: modes of all keys, meaningful in set 3 only
  kAllTypematicMakeBreak = 0xfa,
  kResend = 0xfe,
  kReset = 0xff,
};

// Answers that the controller's translation changes: the second byte of the identification and the number of
// the scan code set.
uint8_t Translate(uint8_t byte) {
  switch (byte) {
    case 0x83: return 0x41;
    case 1: return 0x43;
    case 2: return 0x41;
    case 3: return 0x3f;
    default: return byte;
  }
}

}  // namespace

Result<> Validate(const Ps2KeyboardState& state) {
  if (state.queue.size() > Ps2Queue::kMostBytes) {
    return Fail(Errc::kCorrupt, "queue holds {} bytes, a keyboard {}", state.queue.size(),
                Ps2Queue::kMostBytes);
  }
  if (state.scan_code_set < 1 || state.scan_code_set > 3) {
    return Fail(Errc::kCorrupt, "scan-code-set is {}, there are 1 to 3", state.scan_code_set);
  }
  return {};
}

void Ps2Keyboard::Answer(std::initializer_list<uint8_t> bytes) {
  if (!queue_.Push(bytes)) {
    counters_.dropped_answers.Add();
  }
}

void Ps2Keyboard::SetDefaults() {
  state_.scan_code_set = Ps2KeyboardState{}.scan_code_set;
  state_.typematic = Ps2KeyboardState{}.typematic;
  state_.awaiting = 0;
}

void Ps2Keyboard::WriteParameter(uint8_t command, uint8_t value, bool translated) {
  switch (command) {
    case kSetLeds: state_.leds = value & 0x07; return Answer({kPs2Acknowledge});
    case kSetTypematic: state_.typematic = value & 0x7f; return Answer({kPs2Acknowledge});
    case kScanCodeSet:
      if (value == 0) {
        return Answer({kPs2Acknowledge, translated ? Translate(state_.scan_code_set) : state_.scan_code_set});
      }
      if (value > 3) {
        counters_.unknown_commands.Add();
        return Answer({kPs2Resend});
      }
      state_.scan_code_set = value;
      return Answer({kPs2Acknowledge});
    default: return Answer({kPs2Resend});
  }
}

void Ps2Keyboard::Write(uint8_t value, bool translated) {
  constexpr uint8_t kFirstCommand = 0xed;
  // A command ends the wait for a parameter.
  if (state_.awaiting != 0 && value < kFirstCommand) {
    const uint8_t command = state_.awaiting;
    state_.awaiting = 0;
    return WriteParameter(command, value, translated);
  }
  state_.awaiting = 0;
  switch (value) {
    case kSetLeds:
    case kScanCodeSet:
    case kSetTypematic: state_.awaiting = value; return Answer({kPs2Acknowledge});
    case kEcho: return Answer({kEcho});
    case kIdentify: return Answer({kPs2Acknowledge, 0xab, translated ? Translate(0x83) : uint8_t{0x83}});
    case kEnable: state_.scanning = true; return Answer({kPs2Acknowledge});
    case kDisable:
      SetDefaults();
      state_.scanning = false;
      return Answer({kPs2Acknowledge});
    case kDefaults:
      SetDefaults();
      state_.scanning = true;
      return Answer({kPs2Acknowledge});
    case kReset: Reset(); return Answer({kPs2Acknowledge, kPs2SelfTestPassed});
    default:
      if (value >= kAllTypematic && value <= kAllTypematicMakeBreak) {
        return Answer({kPs2Acknowledge});
      }
      counters_.unknown_commands.Add();
      return Answer({kPs2Resend});
  }
}

void Ps2Keyboard::Reset() {
  state_ = Ps2KeyboardState{};
  queue_.Clear();
}

Ps2KeyboardState Ps2Keyboard::Save() const {
  Ps2KeyboardState state = state_;
  state.queue = queue_.bytes();
  return state;
}

void Ps2Keyboard::Load(const Ps2KeyboardState& state) {
  state_ = state;
  queue_.SetBytes(state.queue);
  state_.queue.clear();
}

}  // namespace nandu
