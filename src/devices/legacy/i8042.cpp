#include "devices/legacy/i8042.h"

#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(Ps2KeyboardState, (), (queue, awaiting, leds, scan_code_set, typematic, scanning))
BOOST_DESCRIBE_STRUCT(Ps2MouseState, (),
                      (queue, awaiting, status, resolution, sample_rate, type, wrapping, rates))
BOOST_DESCRIBE_STRUCT(I8042State, (),
                      (mode, output_port, status, awaiting, output_full, output_from_mouse,
                       output_from_controller, output, port92, keyboard, mouse))

namespace {

constexpr uint16_t kDataPort = 0x60;
constexpr uint16_t kCommandPort = 0x64;
constexpr uint16_t kPort92 = 0x92;
constexpr unsigned kKeyboardIrq = 1;
constexpr unsigned kMouseIrq = 12;

enum Command : uint8_t {
  kReadMode = 0x20,
  kWriteMode = 0x60,
  kDisableMouse = 0xa7,
  kEnableMouse = 0xa8,
  kTestMouse = 0xa9,
  kSelfTest = 0xaa,
  kTestKeyboard = 0xab,
  kDisableKeyboard = 0xad,
  kEnableKeyboard = 0xae,
  kReadInputPort = 0xc0,
  kReadOutputPort = 0xd0,
  kWriteOutputPort = 0xd1,
  kWriteKeyboardOutput = 0xd2,
  kWriteMouseOutput = 0xd3,
  kWriteMouse = 0xd4,
  kDisableA20 = 0xdd,
  kEnableA20 = 0xdf,
  kPulseFirst = 0xf0,  // f0..ff pulse the output bits that are 0 in the low nibble
};
constexpr uint8_t kSelfTestPassed = 0x55;
constexpr uint8_t kPortTestPassed = 0x00;
constexpr uint8_t kInputPort = 0x80;  // keyboard not locked

// status
constexpr uint8_t kOutputFull = 0x01;
constexpr uint8_t kSystemFlag = 0x04;
constexpr uint8_t kLastWasCommand = 0x08;
constexpr uint8_t kNotLocked = 0x10;
constexpr uint8_t kMouseData = 0x20;
constexpr uint8_t kStoredStatus = kSystemFlag | kLastWasCommand | kNotLocked;

// mode
constexpr uint8_t kKeyboardInterrupt = 0x01;
constexpr uint8_t kMouseInterrupt = 0x02;
constexpr uint8_t kModeSystemFlag = 0x04;
constexpr uint8_t kKeyboardDisabled = 0x10;
constexpr uint8_t kMouseDisabled = 0x20;
constexpr uint8_t kTranslate = 0x40;

// output port
constexpr uint8_t kNotReset = 0x01;
constexpr uint8_t kA20 = 0x02;
constexpr uint8_t kOutputPortFull = 0x10;
constexpr uint8_t kOutputPortMouseFull = 0x20;

// port 0x92
constexpr uint8_t kFastReset = 0x01;
constexpr uint8_t kFastA20 = 0x02;

}  // namespace

Result<> Validate(const I8042State& state) {
  if ((state.status & ~unsigned{kStoredStatus}) != 0) {
    return Fail(Errc::kCorrupt, "status has bits that follow from the output buffer");
  }
  return {};
}

Result<std::unique_ptr<I8042>> I8042::Create(DeviceHost& host) {
  std::unique_ptr<I8042> device(new I8042(host));
  I8042* const self = device.get();
  AddressSpace& io = host.io_space();
  const AddressSpace::Transaction transaction(io);
  const auto ports = [](std::string name, BytePorts::ReadByte read, BytePorts::WriteByte write) {
    return Region::Io(std::make_shared<BytePorts>(std::move(name), std::move(read), std::move(write)), 1);
  };
  device->data_ = TRY(io.Map(kDataPort, ports(
                                            "i8042-data", [self](unsigned) { return self->ReadData(); },
                                            [self](unsigned, uint8_t value) { self->WriteData(value); })));
  device->command_ =
      TRY(io.Map(kCommandPort, ports(
                                   "i8042-cmd", [self](unsigned) { return self->ReadStatus(); },
                                   [self](unsigned, uint8_t value) { self->WriteCommand(value); })));
  device->port92_ = TRY(io.Map(kPort92, ports(
                                            "port92", [self](unsigned) { return self->ReadPort92(); },
                                            [self](unsigned, uint8_t value) { self->WritePort92(value); })));
  return device;
}

I8042::I8042(DeviceHost& host)
    : LegacyDevice("i8042", "i8042", "/machine/isa/i8042"),
      host_(host),
      keyboard_irq_(host.ClaimIsaIrq(kKeyboardIrq)),
      mouse_irq_(host.ClaimIsaIrq(kMouseIrq)) {}
I8042::~I8042() = default;

void I8042::Do(After after) {
  if (after == After::kReset) {
    host_.RequestReset("guest-reset");
  }
}

void I8042::UpdateIrqsLocked() {
  const bool full = state_.output_full;
  // The controller's own answers raise the keyboard's interrupt as well.
  keyboard_irq_->Set(full && !state_.output_from_mouse && (state_.mode & kKeyboardInterrupt) != 0);
  mouse_irq_->Set(full && state_.output_from_mouse && (state_.mode & kMouseInterrupt) != 0);
}

void I8042::FillLocked(Source source, uint8_t value) {
  state_.output = value;
  state_.output_full = true;
  state_.output_from_mouse = source == Source::kMouse;
  state_.output_from_controller = source == Source::kController;
  UpdateIrqsLocked();
}

// The controller has no queue of its own: an answer replaces an answer that was not read. A device's byte
// that is displaced is lost, as on hardware when software does not disable the ports first.
void I8042::AnswerLocked(uint8_t value) {
  if (state_.output_full) {
    counters_.lost_bytes.Add();
  }
  FillLocked(Source::kController, value);
}

void I8042::NextLocked() {
  if (state_.output_full) {
    return;
  }
  if ((state_.mode & kKeyboardDisabled) == 0 && !keyboard_.queue().empty()) {
    FillLocked(Source::kKeyboard, keyboard_.queue().Pop());
  } else if ((state_.mode & kMouseDisabled) == 0 && !mouse_.queue().empty()) {
    FillLocked(Source::kMouse, mouse_.queue().Pop());
  } else {
    UpdateIrqsLocked();
  }
}

uint8_t I8042::ReadData() {
  const MutexLock lock(mutex_);
  const uint8_t value = state_.output;
  // The lines fall before the next byte raises one: ISA interrupts are edges.
  state_.output_full = false;
  state_.output_from_controller = false;
  UpdateIrqsLocked();
  NextLocked();
  return value;
}

uint8_t I8042::ReadStatus() {
  const MutexLock lock(mutex_);
  unsigned status = state_.status;
  if (state_.output_full) {
    status |= kOutputFull | (state_.output_from_mouse ? kMouseData : 0u);
  }
  return static_cast<uint8_t>(status);
}

I8042::After I8042::WriteOutputPortLocked(uint8_t value) {
  state_.output_port = value;
  return (value & kNotReset) == 0 ? After::kReset : After::kNothing;
}

I8042::After I8042::CommandLocked(uint8_t value) {
  state_.status |= kLastWasCommand;
  state_.awaiting = 0;
  switch (value) {
    case kReadMode: AnswerLocked(state_.mode); break;
    case kWriteMode:
    case kWriteOutputPort:
    case kWriteKeyboardOutput:
    case kWriteMouseOutput:
    case kWriteMouse: state_.awaiting = value; break;
    case kDisableMouse: state_.mode |= kMouseDisabled; break;
    case kEnableMouse: state_.mode &= static_cast<uint8_t>(~kMouseDisabled); break;
    case kTestMouse:
    case kTestKeyboard: AnswerLocked(kPortTestPassed); break;
    case kSelfTest:
      state_.status |= kSystemFlag;
      AnswerLocked(kSelfTestPassed);
      break;
    case kDisableKeyboard: state_.mode |= kKeyboardDisabled; break;
    case kEnableKeyboard: state_.mode &= static_cast<uint8_t>(~kKeyboardDisabled); break;
    case kReadInputPort: AnswerLocked(kInputPort); break;
    case kReadOutputPort: {
      unsigned port = state_.output_port & ~unsigned{kOutputPortFull | kOutputPortMouseFull};
      if (state_.output_full) {
        port |= state_.output_from_mouse ? kOutputPortMouseFull : kOutputPortFull;
      }
      AnswerLocked(static_cast<uint8_t>(port));
      break;
    }
    case kDisableA20: state_.output_port &= static_cast<uint8_t>(~kA20); break;
    case kEnableA20: state_.output_port |= kA20; break;
    default:
      if (value >= kPulseFirst) {
        return (value & kNotReset) == 0 ? After::kReset : After::kNothing;
      }
      counters_.unknown_commands.Add();
  }
  NextLocked();
  return After::kNothing;
}

I8042::After I8042::DataLocked(uint8_t value) {
  state_.status &= static_cast<uint8_t>(~kLastWasCommand);
  const uint8_t command = state_.awaiting;
  state_.awaiting = 0;
  After after = After::kNothing;
  switch (command) {
    case kWriteMode:
      state_.mode = value;
      state_.status = static_cast<uint8_t>((state_.status & ~kSystemFlag) | (value & kModeSystemFlag));
      UpdateIrqsLocked();
      break;
    case kWriteOutputPort: after = WriteOutputPortLocked(value); break;
    case kWriteKeyboardOutput: FillLocked(Source::kKeyboard, value); break;
    case kWriteMouseOutput: FillLocked(Source::kMouse, value); break;
    case kWriteMouse:
      state_.mode &= static_cast<uint8_t>(~kMouseDisabled);  // talking to a device enables its port
      mouse_.Write(value);
      break;
    default:
      state_.mode &= static_cast<uint8_t>(~kKeyboardDisabled);
      keyboard_.Write(value, (state_.mode & kTranslate) != 0);
  }
  NextLocked();
  return after;
}

void I8042::WriteData(uint8_t value) {
  After after = After::kNothing;
  {
    const MutexLock lock(mutex_);
    after = DataLocked(value);
  }
  Do(after);
}

void I8042::WriteCommand(uint8_t value) {
  After after = After::kNothing;
  {
    const MutexLock lock(mutex_);
    after = CommandLocked(value);
  }
  Do(after);
}

uint8_t I8042::ReadPort92() {
  const MutexLock lock(mutex_);
  return state_.port92;
}

void I8042::WritePort92(uint8_t value) {
  bool reset = false;
  {
    const MutexLock lock(mutex_);
    reset = (value & kFastReset) != 0 && (state_.port92 & kFastReset) == 0;  // on the rising edge
    state_.port92 = value;
    state_.output_port = static_cast<uint8_t>((state_.output_port & ~kA20) | (value & kFastA20));
  }
  Do(reset ? After::kReset : After::kNothing);
}

void I8042::Reset() {
  const MutexLock lock(mutex_);
  state_ = I8042State{};
  keyboard_.Reset();
  mouse_.Reset();
  UpdateIrqsLocked();
}

void I8042::SetUpAsFirmware() {
  const MutexLock lock(mutex_);
  state_.mode = kKeyboardInterrupt | kMouseDisabled | kTranslate;
  state_.status |= kSystemFlag;
  UpdateIrqsLocked();
}

void I8042::Resume() {
  const MutexLock lock(mutex_);
  UpdateIrqsLocked();
}

void I8042::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  I8042State state = state_;
  state.keyboard = keyboard_.Save();
  state.mouse = mouse_.Save();
  writer.Put(state);
}

Result<> I8042::Load(const StateReader& reader) {
  const I8042State state = TRY(reader.Get<I8042State>());
  const MutexLock lock(mutex_);
  state_ = state;
  keyboard_.Load(state.keyboard);
  mouse_.Load(state.mouse);
  return {};
}

void I8042::ContributeAcpi(AmlSink& sink) const {
  sink.AddIsaDevice(
      {.name = "KBD", .hid = "PNP0303", .io = {{kDataPort, 1}, {kCommandPort, 1}}, .irq = kKeyboardIrq});
  sink.AddIsaDevice({.name = "MOU", .hid = "PNP0F13", .io = {}, .irq = kMouseIrq});
}

}  // namespace nandu
