#include "devices/legacy/smbus_host.h"

#include <algorithm>

namespace nandu {
namespace {

// Offsets (19.2).
constexpr unsigned kStatus = 0x00;
constexpr unsigned kControl = 0x02;
constexpr unsigned kCommand = 0x03;
constexpr unsigned kAddress = 0x04;
constexpr unsigned kData0 = 0x05;
constexpr unsigned kData1 = 0x06;
constexpr unsigned kBlockData = 0x07;
constexpr unsigned kAuxControl = 0x0d;

constexpr uint8_t kBusy = 1 << 0;
constexpr uint8_t kDone = 1 << 1;  // INTR
constexpr uint8_t kDeviceError = 1 << 2;
constexpr uint8_t kFailed = 1 << 4;
constexpr uint8_t kByteDone = 1 << 7;

constexpr uint8_t kInterruptEnable = 1 << 0;
constexpr uint8_t kKill = 1 << 1;
constexpr unsigned kProtocolShift = 2;
constexpr unsigned kProtocolMask = 7;
constexpr uint8_t kLastByte = 1 << 5;
constexpr uint8_t kStart = 1 << 6;
constexpr uint8_t kReadableControl = 0x1f;

constexpr uint8_t kBuffered = 1 << 1;  // AUX_CTL, E32B
constexpr uint8_t kWritableAux = 0x03;

constexpr uint8_t kFirstEeprom = 0x50;

enum Protocol : unsigned { kQuick = 0, kByte = 1, kByteData = 2, kWordData = 3, kBlock = 5, kI2cRead = 6 };

}  // namespace

Result<> Validate(const SmbusHostState& state) {
  if (state.index > state.buffer.size()) {
    return Fail(Errc::kCorrupt, "index {} is beyond the block buffer", state.index);
  }
  if ((state.control & kStart) != 0) {
    return Fail(Errc::kCorrupt, "control holds the start bit, which reads as zero");
  }
  return {};
}

SmbusEeprom* SmbusHost::TargetLocked() {
  const unsigned number = (state_.address >> 1) - unsigned{kFirstEeprom};
  return number < eeproms_.size() ? &eeproms_.at(number) : nullptr;
}

bool SmbusHost::BufferedLocked() const { return (state_.aux_control & kBuffered) != 0; }

void SmbusHost::FailLocked() {
  state_.status |= kDeviceError;
  counters_.failed_commands.Add();
}

void SmbusHost::FinishLocked() {
  state_.transfer = SmbusTransfer::kNone;
  state_.status = static_cast<uint8_t>((state_.status & ~kBusy) | kDone);
}

// Without I2C_EN a block starts with its length, which is then a byte of the device like any other.
bool SmbusHost::StartBlockReadLocked(SmbusEeprom& target) {
  size_t length = state_.buffer.size();
  if (!i2c_) {
    target.Write(state_.command, {});
    const uint8_t told = target.Receive();
    length = told > state_.buffer.size() ? 0 : told;
  }
  for (size_t i = 0; i < length; i++) {
    state_.buffer.at(i) = target.Receive();
  }
  state_.data0 = static_cast<uint8_t>(length);
  state_.index = 0;
  state_.transfer = SmbusTransfer::kReadBlock;
  if (BufferedLocked()) {
    state_.status |= kDone;
  } else {
    state_.block_byte = state_.buffer.front();
    state_.status |= kBusy | kByteDone;
  }
  return true;
}

void SmbusHost::SendBlockLocked(SmbusEeprom& target) {
  const size_t length = std::min<size_t>(state_.data0, state_.buffer.size());
  std::array<uint8_t, 33> sent = {static_cast<uint8_t>(length)};
  std::ranges::copy(state_.buffer, sent.begin() + 1);
  target.Write(state_.command, std::span(sent).subspan(i2c_ ? 1 : 0, length + (i2c_ ? 0 : 1)));
}

bool SmbusHost::StartBlockWriteLocked(SmbusEeprom& target) {
  if (!BufferedLocked()) {
    state_.buffer.front() = state_.block_byte;
    state_.index = 0;
    state_.transfer = SmbusTransfer::kWriteBlock;
    state_.status |= kBusy | kByteDone;
    return true;
  }
  const bool complete = state_.index == state_.data0;
  state_.index = 0;
  if (complete) {
    SendBlockLocked(target);
    FinishLocked();
  }
  return complete;
}

// 5.21.1.1; process calls are not there, as in QEMU's.
bool SmbusHost::RunLocked(SmbusEeprom& target) {
  const bool read = (state_.address & 1) != 0;
  const unsigned protocol = state_.control >> kProtocolShift & kProtocolMask;
  const std::array<uint8_t, 2> data = {state_.data0, state_.data1};
  switch (protocol) {
    case kQuick: break;
    case kByte:
      if (read) {
        state_.data0 = target.Receive();
      } else {
        target.Write(state_.command, {});
      }
      break;
    case kByteData:
    case kWordData: {
      const size_t bytes = protocol == kWordData ? 2 : 1;
      target.Write(state_.command, std::span(data).first(read ? 0 : bytes));
      if (read) {
        state_.data0 = target.Receive();
        state_.data1 = bytes == 2 ? target.Receive() : state_.data1;
      }
      break;
    }
    case kBlock: return read ? StartBlockReadLocked(target) : StartBlockWriteLocked(target);
    case kI2cRead:
      // The direction bit may say either: datasheets of this family disagree.
      target.Write(state_.data1, {});
      state_.block_byte = target.Receive();
      state_.transfer = SmbusTransfer::kReadI2c;
      state_.status |= kBusy | kByteDone;
      return true;
    default: return false;
  }
  state_.status |= kDone;
  return true;
}

void SmbusHost::ExecuteLocked() {
  SmbusEeprom* const target = TargetLocked();
  // A device error that was not cleared keeps the next command from running.
  if ((state_.status & kDeviceError) != 0 || target == nullptr || !RunLocked(*target)) {
    FailLocked();
  }
}

void SmbusHost::NextReadByteLocked() {
  SmbusEeprom* const target = TargetLocked();
  const bool i2c = state_.transfer == SmbusTransfer::kReadI2c;
  if (i2c && target == nullptr) {
    state_.transfer = SmbusTransfer::kNone;
    return FailLocked();
  }
  state_.block_byte = i2c ? target->Receive() : state_.buffer.at(state_.index);
  if ((state_.control & kLastByte) != 0) {
    state_.index = 0;
    FinishLocked();
  } else {
    state_.status |= kByteDone;
  }
}

void SmbusHost::NextWriteByteLocked() {
  if (state_.index != state_.data0) {
    state_.buffer.at(state_.index) = state_.block_byte;
    state_.status |= kByteDone;
    return;
  }
  SmbusEeprom* const target = TargetLocked();
  if (target == nullptr) {
    state_.transfer = SmbusTransfer::kNone;
    return FailLocked();
  }
  SendBlockLocked(*target);
  FinishLocked();
}

// BYTE_DONE was cleared: the byte is taken, or the next one is there.
void SmbusHost::NextByteLocked() {
  if (state_.transfer == SmbusTransfer::kNone ||
      (state_.transfer != SmbusTransfer::kReadI2c && BufferedLocked())) {
    return;
  }
  state_.index = static_cast<uint8_t>(state_.index + 1u >= state_.buffer.size() ? 0 : state_.index + 1u);
  if (state_.transfer == SmbusTransfer::kWriteBlock) {
    NextWriteByteLocked();
  } else {
    NextReadByteLocked();
  }
}

uint8_t SmbusHost::ReadStatusLocked() {
  const uint8_t before = state_.status;
  if (state_.starts_on_status_read) {
    state_.starts_on_status_read = false;
    state_.status &= static_cast<uint8_t>(~kBusy);
    ExecuteLocked();
  }
  return before;
}

void SmbusHost::WriteStatusLocked(uint8_t value) {
  const bool byte_done = (state_.status & value & kByteDone) != 0;
  state_.status &= static_cast<uint8_t>(~value | kBusy);
  if (byte_done) {
    NextByteLocked();
  }
}

void SmbusHost::WriteControlLocked(uint8_t value) {
  state_.control = static_cast<uint8_t>(value & ~kStart);
  if ((value & kStart) != 0) {
    if (state_.transfer != SmbusTransfer::kNone) {
      state_.transfer = SmbusTransfer::kNone;
      state_.index = 0;
    }
    state_.starts_on_status_read = (value & kInterruptEnable) == 0;
    if (state_.starts_on_status_read) {
      state_.status |= kBusy;
    } else {
      ExecuteLocked();
    }
  }
  if ((value & kKill) != 0) {
    state_.transfer = SmbusTransfer::kNone;
    state_.index = 0;
    state_.status = static_cast<uint8_t>((state_.status & ~kBusy) | kFailed);
  }
}

uint8_t SmbusHost::ReadBlockDataLocked() {
  if (!BufferedLocked() || state_.transfer == SmbusTransfer::kReadI2c) {
    return state_.block_byte;
  }
  state_.index = state_.index >= state_.buffer.size() ? uint8_t{0} : state_.index;
  const uint8_t value = state_.buffer.at(state_.index++);
  if (state_.transfer != SmbusTransfer::kNone && state_.index == state_.data0) {
    state_.transfer = SmbusTransfer::kNone;
    state_.index = 0;
    state_.status &= static_cast<uint8_t>(~kBusy);
  }
  return value;
}

void SmbusHost::WriteBlockDataLocked(uint8_t value) {
  state_.index = state_.index >= state_.buffer.size() ? uint8_t{0} : state_.index;
  if (BufferedLocked()) {
    state_.buffer.at(state_.index++) = value;
  } else {
    state_.block_byte = value;
  }
}

uint8_t SmbusHost::ReadByteLocked(unsigned offset) {
  switch (offset) {
    case kStatus: return ReadStatusLocked();
    case kControl: return state_.control & kReadableControl;
    case kCommand: return state_.command;
    case kAddress: return state_.address;
    case kData0: return state_.data0;
    case kData1: return state_.data1;
    case kBlockData: return ReadBlockDataLocked();
    case kAuxControl: return state_.aux_control;
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

void SmbusHost::WriteByteLocked(unsigned offset, uint8_t value) {
  switch (offset) {
    case kStatus: return WriteStatusLocked(value);
    case kControl: return WriteControlLocked(value);
    case kCommand: state_.command = value; break;
    case kAddress: state_.address = value; break;
    case kData0: state_.data0 = value; break;
    case kData1: state_.data1 = value; break;
    case kBlockData: return WriteBlockDataLocked(value);
    case kAuxControl: state_.aux_control = value & kWritableAux; break;
    default: counters_.ignored_accesses.Add();
  }
}

uint64_t SmbusHost::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  if (!enabled_) {
    counters_.ignored_accesses.Add();
    return ~uint64_t{0};
  }
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{ReadByteLocked(static_cast<unsigned>(offset) + i)} << (8 * i);
  }
  UpdateIrqLocked();
  return value;
}

ExitDone SmbusHost::Write(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  if (!enabled_) {
    counters_.ignored_accesses.Add();
    return ExitDone::Done();
  }
  for (unsigned i = 0; i < size; i++) {
    WriteByteLocked(static_cast<unsigned>(offset) + i, static_cast<uint8_t>(value >> (8 * i)));
  }
  UpdateIrqLocked();
  return ExitDone::Done();
}

void SmbusHost::UpdateIrqLocked() {
  set_interrupt_((state_.status & ~kBusy & 0xff) != 0 && (state_.control & kInterruptEnable) != 0);
}

void SmbusHost::Configure(bool enabled, bool i2c) {
  const MutexLock lock(mutex_);
  enabled_ = enabled;
  i2c_ = i2c;
}

void SmbusHost::Abort() {
  const MutexLock lock(mutex_);
  state_.status = 0;
  state_.index = 0;
  state_.transfer = SmbusTransfer::kNone;
  state_.starts_on_status_read = false;
  UpdateIrqLocked();
}

void SmbusHost::Reset() {
  const MutexLock lock(mutex_);
  state_ = SmbusHostState{};
  for (SmbusEeprom& eeprom : eeproms_) {
    eeprom.set_state({});
  }
  UpdateIrqLocked();
}

void SmbusHost::RedriveIrq() {
  const MutexLock lock(mutex_);
  UpdateIrqLocked();
}

SmbusHostState SmbusHost::Save(std::vector<SmbusEepromState>* eeproms) const {
  const MutexLock lock(mutex_);
  for (const SmbusEeprom& eeprom : eeproms_) {
    eeproms->push_back(eeprom.state());
  }
  return state_;
}

void SmbusHost::Load(const SmbusHostState& state, const std::vector<SmbusEepromState>& eeproms) {
  const MutexLock lock(mutex_);
  state_ = state;
  for (size_t i = 0; i < eeproms_.size(); i++) {
    eeproms_.at(i).set_state(eeproms.at(i));
  }
}

}  // namespace nandu
