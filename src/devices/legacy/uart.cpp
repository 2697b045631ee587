#include "devices/legacy/uart.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/described.h"
#include "devices/legacy/uart_registers.h"

namespace nandu {

using namespace uart;

Result<> Validate(const UartState& state) {
  if (state.received.size() > kFifoBytes) {
    return Fail(Errc::kCorrupt, "received holds {} bytes, its FIFO {}", state.received.size(), kFifoBytes);
  }
  if (state.transmit.size() > Uart::kQueueBytes) {
    return Fail(Errc::kCorrupt, "transmit holds {} bytes, its queue {}", state.transmit.size(),
                Uart::kQueueBytes);
  }
  return {};
}

Uart::Uart(IrqLine& irq, Clock& clock, UniqueFunction<void()> input_wanted)
    : irq_(irq),
      clock_(clock),
      input_wanted_(std::move(input_wanted)),
      timeout_(clock.CreateTimer([this] { OnTimeout(); })) {}

Uart::~Uart() = default;

bool Uart::FifosOnLocked() const { return (state_.fifo_control & kFifoEnable) != 0; }

size_t Uart::TriggerLocked() const {
  constexpr std::array<size_t, 4> kLevels = {1, 4, 8, 14};
  return FifosOnLocked() ? kLevels[state_.fifo_control >> kFifoTriggerShift] : 1;
}

size_t Uart::RoomLocked() const {
  const size_t capacity = FifosOnLocked() ? kFifoBytes : 1;
  const bool looped = (state_.modem_control & kLoopback) != 0;
  return looped || state_.received.size() >= capacity ? 0 : capacity - state_.received.size();
}

uint8_t Uart::LineStatusLocked() const {
  unsigned status = state_.line_errors;
  if (!state_.received.empty()) {
    status |= kDataReady;
  }
  if (!output_ || output_->room() >= kFifoBytes) {
    status |= kTransmitHoldingEmpty;
  }
  if (!output_ || output_->empty()) {
    status |= kTransmitterEmpty;
  }
  return static_cast<uint8_t>(status);
}

uint8_t Uart::ModemStatusLocked() {
  if ((state_.modem_control & kLoopback) != 0) {
    // 8.7: in loopback the four outputs are the four inputs.
    const unsigned mcr = state_.modem_control;
    return static_cast<uint8_t>((mcr & kRts) << 3 | (mcr & kDtr) << 5 | (mcr & (kOut1 | kOut2)) << 4);
  }
  const uint8_t status = state_.modem_status;
  state_.modem_status &= static_cast<uint8_t>(~kDeltaMask);
  return status;
}

// Table IV: priorities.
uint8_t Uart::InterruptIdLocked() const {
  const uint8_t enabled = state_.interrupt_enable;
  if ((enabled & kEnableLineStatus) != 0 && (state_.line_errors & kReceiveErrors) != 0) {
    return kIdLineStatus;
  }
  if ((enabled & kEnableReceive) != 0 && state_.timeout_pending) {
    return kIdTimeout;
  }
  if ((enabled & kEnableReceive) != 0 && state_.received.size() >= TriggerLocked()) {
    return kIdReceive;
  }
  if ((enabled & kEnableTransmit) != 0 && state_.transmit_pending) {
    return kIdTransmit;
  }
  if ((enabled & kEnableModemStatus) != 0 && (state_.modem_status & kDeltaMask) != 0) {
    return kIdModemStatus;
  }
  return kIdNone;
}

void Uart::UpdateIrqLocked() { irq_.Set(InterruptIdLocked() != kIdNone); }

// 8.4.1.B: an interrupt when the FIFO holds something and four character times passed without one coming or
// going.
void Uart::ArmTimeoutLocked() {
  constexpr int64_t kCharacters = 4;
  constexpr int64_t kLongestNs = 100'000'000;
  if (!FifosOnLocked() || state_.received.empty()) {
    timeout_->Cancel();
    return;
  }
  const unsigned lcr = state_.line_control;
  const int64_t bits =
      1 + 5 + (lcr & kWordLengthMask) + ((lcr & kParity) != 0 ? 1 : 0) + ((lcr & kTwoStopBits) != 0 ? 2 : 1);
  const int64_t divisor = std::max<int64_t>(state_.divisor, 1);
  const int64_t wait_ns = std::min(kCharacters * bits * divisor * 1'000'000'000 / kBaseBaud, kLongestNs);
  timeout_->Arm(clock_.VmNs() + wait_ns);
}

void Uart::OnTimeout() {
  const MutexLock lock(mutex_);
  if (FifosOnLocked() && !state_.received.empty()) {
    state_.timeout_pending = true;
    UpdateIrqLocked();
  }
}

uint8_t Uart::ReadDataLocked() {
  if (state_.received.empty()) {
    return 0;
  }
  const uint8_t value = state_.received.front();
  state_.received.erase(state_.received.begin());
  state_.timeout_pending = false;
  ArmTimeoutLocked();
  if (state_.received.empty()) {
    input_wanted_();
  }
  return value;
}

uint8_t Uart::Read(unsigned reg) {
  const MutexLock lock(mutex_);
  const bool latch = (state_.line_control & kDivisorLatch) != 0;
  uint8_t value = 0;
  switch (reg) {
    case kData: value = latch ? static_cast<uint8_t>(state_.divisor) : ReadDataLocked(); break;
    case kInterruptEnable:
      value = latch ? static_cast<uint8_t>(state_.divisor >> 8) : state_.interrupt_enable;
      break;
    case kInterruptId: {
      value = InterruptIdLocked();
      if (value == kIdTransmit) {
        state_.transmit_pending = false;  // table IV: reading IIR resets this one
      }
      value = static_cast<uint8_t>(value | (FifosOnLocked() ? kIdFifos : 0));
      break;
    }
    case kLineControl: return state_.line_control;
    case kModemControl: return state_.modem_control;
    case kLineStatus:
      value = LineStatusLocked();
      state_.line_errors = 0;  // 8.5: reading clears the error bits
      break;
    case kModemStatus: value = ModemStatusLocked(); break;
    case kScratch: return state_.scratch;
    default: return 0xff;
  }
  UpdateIrqLocked();
  return value;
}

void Uart::PushReceivedLocked(uint8_t byte) {
  const size_t capacity = FifosOnLocked() ? kFifoBytes : 1;
  if (state_.received.size() >= capacity) {
    counters_.receive_overruns.Add();
    state_.line_errors |= kOverrun;
    if (!FifosOnLocked()) {
      state_.received.back() = byte;  // without FIFO the character in the buffer is destroyed
    }
    return;
  }
  state_.received.push_back(byte);
}

void Uart::WriteDataLocked(uint8_t value) {
  state_.transmit_pending = false;
  if ((state_.modem_control & kLoopback) != 0) {
    PushReceivedLocked(value);
    ArmTimeoutLocked();
    state_.transmit_pending = true;
    return;
  }
  if (!output_) {
    state_.transmit_pending = true;
    return;
  }
  if (!output_->Push(value)) {
    counters_.transmit_overruns.Add();  // the guest wrote although THRE was clear
  }
}

void Uart::WriteInterruptEnableLocked(uint8_t value) {
  const unsigned changed = state_.interrupt_enable ^ value;
  state_.interrupt_enable = value & kEnableMask;
  // Enabling it while the holding register is empty raises the interrupt at once; drivers count on it.
  if ((changed & value & kEnableTransmit) != 0 && (LineStatusLocked() & kTransmitHoldingEmpty) != 0) {
    state_.transmit_pending = true;
  }
}

void Uart::WriteFifoControlLocked(uint8_t value) {
  // 8.6: changing the enable bit clears both FIFOs. What was transmitted has left the chip.
  const bool toggled = ((state_.fifo_control ^ value) & kFifoEnable) != 0;
  if (toggled || (value & kFifoClearReceive) != 0) {
    state_.received.clear();
    state_.timeout_pending = false;
    timeout_->Cancel();
    input_wanted_();
  }
  if (toggled || (value & kFifoClearTransmit) != 0) {
    state_.transmit_pending = true;
  }
  state_.fifo_control = (value & kFifoEnable) != 0 ? value & 0xc9 : 0;
}

void Uart::WriteModemControlLocked(uint8_t value) {
  const bool was_looped = (state_.modem_control & kLoopback) != 0;
  state_.modem_control = value & kModemControlMask;
  if (was_looped && (value & kLoopback) == 0) {
    input_wanted_();
  }
}

void Uart::Write(unsigned reg, uint8_t value) {
  const MutexLock lock(mutex_);
  const bool latch = (state_.line_control & kDivisorLatch) != 0;
  switch (reg) {
    case kData:
      if (latch) {
        state_.divisor = static_cast<uint16_t>((state_.divisor & 0xff00) | value);
      } else {
        WriteDataLocked(value);
      }
      break;
    case kInterruptEnable:
      if (latch) {
        state_.divisor = static_cast<uint16_t>((state_.divisor & 0x00ff) | value << 8);
      } else {
        WriteInterruptEnableLocked(value);
      }
      break;
    case kInterruptId: WriteFifoControlLocked(value); break;
    case kLineControl: state_.line_control = value; return;
    case kModemControl: WriteModemControlLocked(value); break;
    case kScratch: state_.scratch = value; return;
    default: return;  // LSR and MSR are read-only; writing them is for factory tests
  }
  UpdateIrqLocked();
}

size_t Uart::Room() {
  const MutexLock lock(mutex_);
  return RoomLocked();
}

void Uart::Receive(std::span<const std::byte> bytes) {
  const MutexLock lock(mutex_);
  for (const std::byte byte : bytes) {
    PushReceivedLocked(static_cast<uint8_t>(byte));
  }
  ArmTimeoutLocked();
  UpdateIrqLocked();
}

void Uart::ReceiveBreak() {
  const MutexLock lock(mutex_);
  counters_.line_breaks.Add();
  // 8.5, bit 4: a break loads one zero character.
  PushReceivedLocked(0);
  state_.line_errors |= kBreak;
  ArmTimeoutLocked();
  UpdateIrqLocked();
}

void Uart::OnDrained() {
  const MutexLock lock(mutex_);
  state_.transmit_pending = true;
  UpdateIrqLocked();
}

void Uart::Reset() {
  const MutexLock lock(mutex_);
  state_ = UartState{};
  timeout_->Cancel();
  UpdateIrqLocked();
  input_wanted_();
}

void Uart::RedriveIrq() {
  const MutexLock lock(mutex_);
  UpdateIrqLocked();
  ArmTimeoutLocked();
}

UartState Uart::Save() const {
  const MutexLock lock(mutex_);
  UartState state = state_;
  if (output_) {
    const std::string queued = output_->Queued();
    state.transmit.assign(queued.begin(), queued.end());
  }
  return state;
}

void Uart::Load(const UartState& state) {
  const MutexLock lock(mutex_);
  state_ = state;
  if (output_) {
    output_->SetQueued(std::string(state.transmit.begin(), state.transmit.end()));
  }
  state_.transmit.clear();
}

}  // namespace nandu
