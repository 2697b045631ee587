#include "devices/legacy/tco.h"

namespace nandu {
namespace {

// Offsets from the block's start (13.9).
constexpr unsigned kReload = 0x00;
constexpr unsigned kDataIn = 0x02;
constexpr unsigned kDataOut = 0x03;
constexpr unsigned kStatus1 = 0x04;
constexpr unsigned kStatus2 = 0x06;
constexpr unsigned kControl1 = 0x08;
constexpr unsigned kControl2 = 0x0a;
constexpr unsigned kMessage1 = 0x0c;
constexpr unsigned kMessage2 = 0x0d;
constexpr unsigned kScratch = 0x0e;
constexpr unsigned kSoftwareIrq = 0x10;
constexpr unsigned kTimer = 0x12;

constexpr int64_t kTickNs = 600'000'000;
constexpr uint16_t kTicksMask = 0x03ff;

constexpr uint16_t kSoftwareSmi = 1 << 1;
constexpr uint16_t kInterrupt = 1 << 2;
constexpr uint16_t kTimeout = 1 << 3;
constexpr uint16_t kStatus1Kept = 0xe870;
constexpr uint16_t kSecondTimeout = 1 << 1;
constexpr uint16_t kBootFailed = 1 << 2;
constexpr uint16_t kStatus2Kept = 0xfff8;
constexpr uint16_t kHalted = 1 << 11;
constexpr uint16_t kLocked = 1 << 12;
constexpr uint16_t kControl1Writable = 0xfeff;

}  // namespace

Result<> Validate(const TcoState& state) {
  if (state.expirations > 1) {
    return Fail(Errc::kCorrupt, "the watchdog expired {} times, and the second is its last",
                state.expirations);
  }
  if (state.deadline_ns < -1) {
    return Fail(Errc::kCorrupt, "the watchdog's deadline is {} ns", state.deadline_ns);
  }
  return {};
}

Tco::Tco(Clock& clock, std::function<bool()> expired)
    : clock_(clock), expired_(std::move(expired)), timer_(clock.CreateTimer([this] { OnTimer(); })) {}
Tco::~Tco() = default;

// 13.9.10: values of 0 and 1 are ignored, and so no period is shorter than 1.2 s.
bool Tco::MayRunLocked() const { return (state_.control1 & kHalted) == 0 && (state_.timer & kTicksMask) > 1; }

void Tco::ReloadLocked() {
  state_.reload = state_.timer;
  state_.deadline_ns = clock_.VmNs() + (state_.timer & kTicksMask) * kTickNs;
  timer_->Arm(state_.deadline_ns);
}

void Tco::StopLocked() {
  state_.deadline_ns = -1;
  timer_->Cancel();
}

// 5.15.1: the first expiry tells firmware, the second resets the machine.
void Tco::OnTimer() {
  bool second = false;
  {
    const MutexLock lock(mutex_);
    if (state_.deadline_ns < 0) {
      return;
    }
    // A callback that was on its way when the guest reloaded it.
    if (clock_.VmNs() < state_.deadline_ns) {
      timer_->Arm(state_.deadline_ns);
      return;
    }
    counters_.expirations.Add();
    state_.status1 |= kTimeout;
    second = ++state_.expirations == 2;
    if (second) {
      state_.expirations = 0;
      state_.status2 |= kSecondTimeout | kBootFailed;
    }
    if (MayRunLocked()) {
      ReloadLocked();
    } else {
      StopLocked();  // the period was changed since
    }
  }
  if (second && expired_()) {
    const MutexLock lock(mutex_);
    state_.reload = 0;
    StopLocked();
  }
}

uint16_t Tco::ReadRegisterLocked(unsigned offset) {
  switch (offset) {
    case kReload: {
      if (state_.deadline_ns < 0) {
        return state_.reload;
      }
      const int64_t left_ns = state_.deadline_ns - clock_.VmNs();
      const int64_t ticks = left_ns > 0 ? left_ns / kTickNs : 0;
      return static_cast<uint16_t>((ticks & kTicksMask) | (state_.reload & ~kTicksMask));
    }
    case kDataIn: return state_.data_in;
    case kDataOut: return state_.data_out;
    case kStatus1: return state_.status1;
    case kStatus2: return state_.status2;
    case kControl1: return state_.control1;
    case kControl2: return state_.control2;
    case kMessage1: return state_.message1;
    case kMessage2: return state_.message2;
    case kScratch: return state_.scratch;
    case kSoftwareIrq: return state_.software_irq;
    case kTimer: return state_.timer;
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

void Tco::WriteControl1Locked(uint16_t value) {
  // 13.9.7: only a reset takes the lock away.
  state_.control1 = static_cast<uint16_t>((value & kControl1Writable) | (state_.control1 & kLocked));
  if (MayRunLocked()) {
    ReloadLocked();
  } else {
    StopLocked();
  }
}

void Tco::WriteRegisterLocked(unsigned offset, uint16_t value) {
  const auto byte = static_cast<uint8_t>(value);
  switch (offset) {
    case kReload:
      state_.expirations = 0;
      if (MayRunLocked()) {
        ReloadLocked();
      } else {
        state_.reload = value;
      }
      break;
    case kDataIn:
      state_.data_in = byte;
      state_.status1 |= kSoftwareSmi;
      break;
    case kDataOut:
      state_.data_out = byte;
      state_.status1 |= kInterrupt;
      break;
    case kStatus1: state_.status1 = value & kStatus1Kept; break;
    case kStatus2: state_.status2 = value & kStatus2Kept; break;
    case kControl1: return WriteControl1Locked(value);
    case kControl2: state_.control2 = value; break;
    case kMessage1: state_.message1 = byte; break;
    case kMessage2: state_.message2 = byte; break;
    case kScratch: state_.scratch = byte; break;
    case kSoftwareIrq: state_.software_irq = byte; break;
    case kTimer: state_.timer = value; break;
    default: counters_.ignored_accesses.Add();
  }
}

uint64_t Tco::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  if (size == 1) {
    return ReadRegisterLocked(static_cast<unsigned>(offset)) & 0xff;
  }
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i += 2) {
    value |= uint64_t{ReadRegisterLocked(static_cast<unsigned>(offset) + i)} << (8 * i);
  }
  return value;
}

ExitDone Tco::Write(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  const uint64_t mask = size == 1 ? 0xff : 0xffff;
  for (unsigned i = 0; i < size; i += 2) {
    WriteRegisterLocked(static_cast<unsigned>(offset) + i, static_cast<uint16_t>(value >> (8 * i) & mask));
  }
  return ExitDone::Done();
}

void Tco::Reset() {
  const MutexLock lock(mutex_);
  const auto cause = static_cast<uint16_t>(state_.status2 & (kSecondTimeout | kBootFailed));
  state_ = TcoState{};
  state_.status2 = cause;
  StopLocked();
}

TcoState Tco::Save() const {
  const MutexLock lock(mutex_);
  return state_;
}

void Tco::Load(const TcoState& state) {
  const MutexLock lock(mutex_);
  state_ = state;
  if (state_.deadline_ns < 0) {
    timer_->Cancel();
  } else {
    timer_->Arm(state_.deadline_ns);
  }
}

}  // namespace nandu
