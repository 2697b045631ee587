#include "devices/legacy/acpi_pm.h"

namespace nandu {
namespace {

// Offsets from PMBASE.
constexpr unsigned kPm1Status = 0x00;
constexpr unsigned kPm1Enable = 0x02;
constexpr unsigned kPm1Control = 0x04;
constexpr unsigned kPmTimer = 0x08;
constexpr unsigned kGpe0Status = 0x20;
constexpr unsigned kGpe0Enable = 0x28;
constexpr unsigned kGpe0End = 0x30;
constexpr unsigned kSmiEnable = 0x30;
constexpr unsigned kSmiStatus = 0x34;
constexpr unsigned kSmiEnd = 0x38;
constexpr uint32_t kSmiByCommand = 1 << 5;  // ICH9, 13.8.3.11: APMC_EN

// PM1 status and enable (ACPI 6.5, 4.8.4.1.1 and 4.8.4.1.2)
constexpr uint16_t kTimer = 1 << 0;
constexpr uint16_t kBusMaster = 1 << 4;
constexpr uint16_t kGlobal = 1 << 5;
constexpr uint16_t kPowerButton = 1 << 8;
constexpr uint16_t kSleepButton = 1 << 9;
constexpr uint16_t kRtc = 1 << 10;
constexpr uint16_t kWake = 1 << 15;
constexpr uint16_t kStatusBits = kTimer | kBusMaster | kGlobal | kPowerButton | kSleepButton | kRtc | kWake;
constexpr uint16_t kSciSources = kTimer | kGlobal | kPowerButton | kSleepButton | kRtc;

// PM1 control (4.8.4.2.1)
constexpr uint16_t kSciEnabled = 1 << 0;
constexpr unsigned kSleepTypeShift = 10;
constexpr unsigned kSleepTypeMask = 7;
constexpr uint16_t kSleepEnable = 1 << 13;
constexpr unsigned kSoftOff = 0;        // \_S5
constexpr unsigned kSuspendToDisk = 2;  // \_S4

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kTimerHz = 3'579'545;  // 4.8.2.1
constexpr uint64_t kTimerMask = 0xffffff;
constexpr uint64_t kHalfTimer = 0x800000;  // TMR_STS is set when bit 23 changes

// Puts a byte into the register that `shift` is counted in.
template <class T>
void PutByte(T* reg, unsigned shift, uint8_t value) {
  *reg = static_cast<T>((*reg & ~(T{0xff} << shift)) | T{value} << shift);
}

}  // namespace

AcpiPm::AcpiPm(IrqLine& sci, Clock& clock, std::function<void()> power_off)
    : sci_(sci),
      clock_(clock),
      power_off_(std::move(power_off)),
      overflow_(clock.CreateTimer([this] { OnOverflow(); })) {}

AcpiPm::~AcpiPm() = default;

uint64_t AcpiPm::TicksLocked() const {
  const int64_t now = clock_.VmNs();
  const auto seconds = static_cast<uint64_t>(now / kSecondNs);
  const auto rest = static_cast<uint64_t>(now % kSecondNs);
  return seconds * kTimerHz + rest * kTimerHz / kSecondNs;
}

uint16_t AcpiPm::StatusLocked() {
  if (TicksLocked() >= state_.overflow_ticks) {
    state_.pm1_status |= kTimer;
  }
  return state_.pm1_status;
}

void AcpiPm::UpdateSciLocked() {
  const bool pm1 = (StatusLocked() & state_.pm1_enable & kSciSources) != 0;
  const bool gpe = (state_.gpe0_status & state_.gpe0_enable) != 0;
  sci_.Set(pm1 || gpe);
  if ((state_.pm1_enable & kTimer) == 0 || (state_.pm1_status & kTimer) != 0) {
    overflow_->Cancel();
    return;
  }
  // Never more than half a timer away, so the product stays small; a hostile state is brought back by the
  // next overflow.
  const uint64_t now = TicksLocked();
  const uint64_t left = state_.overflow_ticks > now ? state_.overflow_ticks - now : 0;
  const uint64_t wait = left > 2 * kHalfTimer ? 2 * kHalfTimer : left;
  overflow_->Arm(clock_.VmNs() + static_cast<int64_t>(wait * kSecondNs / kTimerHz) + 1);
}

void AcpiPm::OnOverflow() {
  const MutexLock lock(mutex_);
  UpdateSciLocked();
}

uint8_t AcpiPm::ReadByteLocked(unsigned offset) {
  if (offset < kPm1Enable) {
    return static_cast<uint8_t>(StatusLocked() >> (8 * (offset - kPm1Status)));
  }
  if (offset < kPm1Control) {
    return static_cast<uint8_t>(state_.pm1_enable >> (8 * (offset - kPm1Enable)));
  }
  if (offset < kPm1Control + 2) {
    return static_cast<uint8_t>(state_.pm1_control >> (8 * (offset - kPm1Control)));
  }
  if (offset >= kGpe0Status && offset < kGpe0Enable) {
    return static_cast<uint8_t>(state_.gpe0_status >> (8 * (offset - kGpe0Status)));
  }
  if (offset >= kGpe0Enable && offset < kGpe0End) {
    return static_cast<uint8_t>(state_.gpe0_enable >> (8 * (offset - kGpe0Enable)));
  }
  if (offset >= kSmiEnable && offset < kSmiStatus) {
    return static_cast<uint8_t>(state_.smi_enable >> (8 * (offset - kSmiEnable)));
  }
  if (offset >= kSmiStatus && offset < kSmiEnd) {
    return static_cast<uint8_t>(state_.smi_status >> (8 * (offset - kSmiStatus)));
  }
  counters_.ignored_accesses.Add();
  return 0;
}

uint64_t AcpiPm::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  // The timer's bytes are of one moment.
  const uint64_t timer = TicksLocked() & kTimerMask;
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    const auto at = static_cast<unsigned>(offset) + i;
    const bool in_timer = at >= kPmTimer && at < kPmTimer + 4;
    const uint8_t byte = in_timer ? static_cast<uint8_t>(timer >> (8 * (at - kPmTimer))) : ReadByteLocked(at);
    value |= uint64_t{byte} << (8 * i);
  }
  return value;
}

bool AcpiPm::WriteControlHighLocked(uint8_t value) {
  PutByte(&state_.pm1_control, 8, value);
  if ((state_.pm1_control & kSleepEnable) == 0) {
    return false;
  }
  state_.pm1_control &= static_cast<uint16_t>(~kSleepEnable);  // reads as zero
  const unsigned type = state_.pm1_control >> kSleepTypeShift & kSleepTypeMask;
  if (type == kSoftOff || type == kSuspendToDisk) {
    return true;
  }
  counters_.ignored_sleeps.Add();
  return false;
}

bool AcpiPm::WriteByteLocked(unsigned offset, uint8_t value) {
  if (offset < kPm1Enable) {
    const uint16_t ones = static_cast<uint16_t>(value << (8 * (offset - kPm1Status)) & kStatusBits);
    // 4.8.2.1: the next change of bit 23 sets the status again.
    if ((ones & StatusLocked() & kTimer) != 0) {
      state_.overflow_ticks = (TicksLocked() | (kHalfTimer - 1)) + 1;
    }
    state_.pm1_status &= static_cast<uint16_t>(~ones);
  } else if (offset < kPm1Control) {
    PutByte(&state_.pm1_enable, 8 * (offset - kPm1Enable), value);
  } else if (offset == kPm1Control) {
    PutByte(&state_.pm1_control, 0, value);
  } else if (offset == kPm1Control + 1) {
    return WriteControlHighLocked(value);
  } else if (offset >= kGpe0Status && offset < kGpe0Enable) {
    state_.gpe0_status &= ~(uint64_t{value} << (8 * (offset - kGpe0Status)));
  } else if (offset >= kGpe0Enable && offset < kGpe0End) {
    PutByte(&state_.gpe0_enable, 8 * (offset - kGpe0Enable), value);
  } else if (offset >= kSmiEnable && offset < kSmiStatus) {
    PutByte(&state_.smi_enable, 8 * (offset - kSmiEnable), value);
  } else if (offset >= kSmiStatus && offset < kSmiEnd) {
    state_.smi_status &= ~(uint32_t{value} << (8 * (offset - kSmiStatus)));
  } else {
    counters_.ignored_accesses.Add();
  }
  return false;
}

ExitDone AcpiPm::Write(uint64_t offset, unsigned size, uint64_t value) {
  bool off = false;
  {
    const MutexLock lock(mutex_);
    for (unsigned i = 0; i < size; i++) {
      off |= WriteByteLocked(static_cast<unsigned>(offset) + i, static_cast<uint8_t>(value >> (8 * i)));
    }
    UpdateSciLocked();
  }
  if (off) {
    power_off_();
  }
  return ExitDone::Done();
}

void AcpiPm::PressPowerButton() {
  const MutexLock lock(mutex_);
  state_.pm1_status |= kPowerButton;
  UpdateSciLocked();
}

void AcpiPm::RaiseGpe(unsigned bit) {
  const MutexLock lock(mutex_);
  state_.gpe0_status |= uint64_t{1} << (bit & 63);
  UpdateSciLocked();
}

void AcpiPm::SetAcpiEnabled(bool enabled) {
  const MutexLock lock(mutex_);
  state_.pm1_control =
      static_cast<uint16_t>(enabled ? state_.pm1_control | kSciEnabled : state_.pm1_control & ~kSciEnabled);
}

void AcpiPm::Reset() {
  const MutexLock lock(mutex_);
  state_ = AcpiPmState{};
  state_.smi_enable = kSmiByCommand;  // firmware takes it that SMIs are set up, and leaves them alone
  state_.overflow_ticks = (TicksLocked() | (kHalfTimer - 1)) + 1;
  UpdateSciLocked();
}

void AcpiPm::RedriveIrq() {
  const MutexLock lock(mutex_);
  UpdateSciLocked();
}

AcpiPmState AcpiPm::Save() const {
  const MutexLock lock(mutex_);
  return state_;
}

void AcpiPm::Load(const AcpiPmState& state) {
  const MutexLock lock(mutex_);
  state_ = state;
}

}  // namespace nandu
