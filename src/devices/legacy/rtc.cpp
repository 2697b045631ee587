#include "devices/legacy/rtc.h"

#include <algorithm>

#include "base/time.h"
#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {

using namespace rtc;

BOOST_DESCRIBE_STRUCT(RtcState, (),
                      (cmos, index, offset_s, offset_ns, settled_s, stopped, periodic_next_ns, owed_periods,
                       repaid_periods))

namespace {

constexpr uint16_t kPort = 0x70;
constexpr uint16_t kPorts = 2;
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kUpdateNs = 244'000;  // datasheet, "Update cycle": UIP rises 244 us before the update
constexpr int64_t kHalfSecondNs = 500'000'000;  // the first update after the divider left reset
constexpr int64_t kDayS = 86400;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kUnit = 64 << 10;
// driftfix=slew: so many interrupts are kept for a guest that does not take them, and so many follow a
// period's own at most, so that a guest that reads register C in a loop comes out of it.
constexpr uint32_t kMostOwed = 100'000;
constexpr uint32_t kMostRepaid = 20;
// Ten thousand years: what the registers can name, and far from the end of 64 bits.
constexpr int64_t kFarthestS = int64_t{10000} * 366 * 86400;

bool DividerHeld(uint8_t register_a) { return (register_a & kDividerReset) == kDividerReset; }

void PutNumber(Cmos* cmos, unsigned at, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) {
    (*cmos)[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

Cmos InitialCmos(const Rtc::Options& options) {
  constexpr uint8_t kMouseAndFpu = 0x06;
  constexpr uint64_t kMostKiB = 0xffff;
  Cmos cmos = {};
  cmos[kRegisterA] = 0x26;  // 32.768 kHz, 1024 Hz
  cmos[kRegisterB] = k24Hours;
  cmos[kRegisterD] = kValidRam;
  cmos[kEquipment] = kMouseAndFpu;
  const uint64_t low = options.low_ram_bytes;
  PutNumber(&cmos, kBaseMemory, std::min<uint64_t>(640, low >> 10), 2);
  const uint64_t extended = low > kMiB ? std::min((low - kMiB) >> 10, kMostKiB) : 0;
  PutNumber(&cmos, kExtendedMemory, extended, 2);
  PutNumber(&cmos, kExtendedMemory2, extended, 2);
  PutNumber(&cmos, kMemoryAbove16MiB, low > 16 * kMiB ? std::min((low - 16 * kMiB) / kUnit, kMostKiB) : 0, 2);
  PutNumber(&cmos, kMemoryAbove4GiB, options.high_ram_bytes / kUnit, 3);
  constexpr unsigned kMostCpus = 255;  // more are told of elsewhere, and by nothing here
  cmos[kCpusMinusOne] = static_cast<uint8_t>(options.cpus > kMostCpus ? 0 : options.cpus - 1);
  return cmos;
}

}  // namespace

Result<> Validate(const RtcState& state) {
  if (state.index >= kBytes) {
    return Fail(Errc::kCorrupt, "index is {}, the clock has {} bytes", state.index, kBytes);
  }
  if (state.offset_s > kFarthestS || state.offset_s < -kFarthestS || state.offset_ns < 0 ||
      state.offset_ns >= kSecondNs || state.settled_s > 2 * kFarthestS || state.settled_s < -2 * kFarthestS) {
    return Fail(Errc::kCorrupt, "offset-s, offset-ns or settled-s is out of range");
  }
  if (state.periodic_next_ns < 0) {
    return Fail(Errc::kCorrupt, "periodic-next-ns lies before the machine's start");
  }
  if (state.owed_periods > kMostOwed || state.repaid_periods > kMostRepaid) {
    return Fail(Errc::kCorrupt, "owed-periods or repaid-periods is out of range");
  }
  return {};
}

Result<std::unique_ptr<Rtc>> Rtc::Create(DeviceHost& host, IrqLine& irq, const Options& options) {
  std::unique_ptr<Rtc> device(new Rtc(host, irq, options));
  Rtc* const self = device.get();
  device->mapping_ = TRY(host.io_space().Map(
      kPort, Region::Io(std::make_shared<BytePorts>(
                            "rtc", [self](unsigned offset) { return self->ReadPort(offset); },
                            [self](unsigned offset, uint8_t value) { self->WritePort(offset, value); }),
                        kPorts)));
  return device;
}

Rtc::Rtc(DeviceHost& host, IrqLine& irq, const Options& options)
    : LegacyDevice("rtc", "mc146818rtc", "/machine/isa/rtc"),
      irq_(irq),
      clock_(host.clock()),
      follows_(options.follows),
      lost_ticks_(options.lost_ticks),
      start_realtime_ns_(host.clock().RealtimeNs()),
      start_monotonic_ns_(MonotonicNs()),
      second_timer_(host.clock().CreateTimer([this] { OnSecond(); })),
      periodic_timer_(host.clock().CreateTimer([this] { OnPeriod(); })) {
  const MutexLock lock(mutex_);
  state_.cmos = InitialCmos(options);
  StartAt(options);
  state_.settled_s = NowLocked().s;
}

void Rtc::StartAt(const Options& options) {
  const int64_t offset_s = std::clamp(options.offset_s, -kFarthestS, kFarthestS);
  if (!options.start_s && follows_ == Follows::kRealtime) {
    state_.offset_s = offset_s;
    return;
  }
  const int64_t realtime = std::max<int64_t>(start_realtime_ns_, 0);
  const int64_t followed = FollowedNs();
  const int64_t start_s = options.start_s ? std::clamp(*options.start_s, -kFarthestS, kFarthestS)
                                          : realtime / kSecondNs + offset_s;
  const int64_t ns = (options.start_s ? 0 : realtime % kSecondNs) - followed % kSecondNs;
  state_.offset_s = start_s - followed / kSecondNs - (ns < 0 ? 1 : 0);
  state_.offset_ns = ns < 0 ? ns + kSecondNs : ns;
}

int64_t Rtc::FollowedNs() const {
  switch (follows_) {
    case Follows::kRealtime: return std::max<int64_t>(clock_.RealtimeNs(), 0);
    case Follows::kMonotonic:
      return std::max<int64_t>(start_realtime_ns_ + MonotonicNs() - start_monotonic_ns_, 0);
    case Follows::kVm: return clock_.VmNs();
  }
  return 0;
}

Rtc::~Rtc() = default;

Rtc::Instant Rtc::NowLocked() const {
  const int64_t followed = FollowedNs();
  const int64_t ns = followed % kSecondNs + state_.offset_ns;
  return {.s = followed / kSecondNs + state_.offset_s + ns / kSecondNs, .ns = ns % kSecondNs};
}

uint8_t Rtc::ReadPort(unsigned offset) {
  const MutexLock lock(mutex_);
  return offset == 0 ? uint8_t{0xff} : ReadLocked(state_.index);  // the index cannot be read back
}

void Rtc::WritePort(unsigned offset, uint8_t value) {
  const MutexLock lock(mutex_);
  if (offset == 0) {
    state_.index = value & (kBytes - 1);  // bit 7 masks NMI
  } else {
    WriteLocked(state_.index, value);
  }
}

// Flags of the updates and alarms since the last look.
void Rtc::SettleLocked() {
  if (state_.stopped) {
    return;
  }
  const int64_t now_s = NowLocked().s;
  if (now_s < state_.settled_s) {
    state_.settled_s = now_s;  // the host's clock was set back
    return;
  }
  if (now_s == state_.settled_s) {
    return;
  }
  state_.cmos[kRegisterC] |= kUpdateFlag;
  if (const auto alarm = NextAlarm(state_.settled_s, state_.cmos); alarm && *alarm <= now_s) {
    state_.cmos[kRegisterC] |= kAlarmFlag;
  }
  state_.settled_s = now_s;
}

void Rtc::UpdateIrqLocked() {
  constexpr uint8_t kSources = kPeriodicFlag | kAlarmFlag | kUpdateFlag;  // the same bits enable in B
  uint8_t& flags = state_.cmos[kRegisterC];
  const bool pending = (flags & state_.cmos[kRegisterB] & kSources) != 0;
  flags = static_cast<uint8_t>(pending ? flags | kInterruptFlag : flags & ~kInterruptFlag);
  irq_.Set(pending);
}

uint8_t Rtc::ReadLocked(unsigned index) {
  switch (index) {
    case kSeconds:
    case kMinutes:
    case kHours:
    case kDayOfWeek:
    case kDayOfMonth:
    case kMonth:
    case kYear:
    case kCentury:
    case kCenturyPs2:
      if (!state_.stopped) {
        SetTime(NowLocked().s, &state_.cmos);
      }
      return state_.cmos[index];
    case kRegisterA: {
      const bool updating = !state_.stopped && NowLocked().ns >= kSecondNs - kUpdateNs;
      return static_cast<uint8_t>(state_.cmos[kRegisterA] | (updating ? kUpdateInProgress : 0));
    }
    case kRegisterC: {
      SettleLocked();
      UpdateIrqLocked();
      const uint8_t flags = state_.cmos[kRegisterC];
      state_.cmos[kRegisterC] = 0;  // "Register C: cleared after a read"
      UpdateIrqLocked();
      RepayLocked();
      ArmLocked();
      return flags;
    }
    default: return state_.cmos[index];
  }
}

void Rtc::WriteLocked(unsigned index, uint8_t value) {
  switch (index) {
    case kSecondsAlarm:
    case kMinutesAlarm:
    case kHoursAlarm:
      SettleLocked();
      state_.cmos[index] = value;
      ArmLocked();
      return;
    case kSeconds:
    case kMinutes:
    case kHours:
    case kDayOfWeek:
    case kDayOfMonth:
    case kMonth:
    case kYear:
    case kCentury:
    case kCenturyPs2: {
      if (state_.stopped) {
        state_.cmos[index] = value;
      } else {
        // A clock that runs is set in place: the byte changes, the rest of the second stays.
        const int64_t into_second = NowLocked().ns;
        SetTime(NowLocked().s, &state_.cmos);
        state_.cmos[index] = value;
        state_.cmos[kCentury] = index == kCenturyPs2 ? value : state_.cmos[kCentury];
        StartLocked(into_second);
      }
      ArmLocked();
      return;
    }
    case kRegisterA: return WriteRegisterALocked(value);
    case kRegisterB: return WriteRegisterBLocked(value);
    case kRegisterC:
    case kRegisterD: return;  // read-only
    default: state_.cmos[index] = value;
  }
}

void Rtc::StopLocked() {
  if (!state_.stopped) {
    SettleLocked();
    SetTime(NowLocked().s, &state_.cmos);
    state_.stopped = true;
  }
}

// The time in the registers is now, that far into its second.
void Rtc::StartLocked(int64_t into_second_ns) {
  const int64_t followed = FollowedNs();
  const int64_t ns = into_second_ns - followed % kSecondNs;
  state_.offset_ns = ns < 0 ? ns + kSecondNs : ns;
  state_.offset_s = GetTime(state_.cmos) - followed / kSecondNs - (ns < 0 ? 1 : 0);
  state_.settled_s = NowLocked().s;
  state_.stopped = false;
}

void Rtc::WriteRegisterALocked(uint8_t value) {
  const bool was_held = DividerHeld(state_.cmos[kRegisterA]);
  const bool held = DividerHeld(value);
  const bool set = (state_.cmos[kRegisterB] & kSet) != 0;
  state_.cmos[kRegisterA] = value & static_cast<uint8_t>(~kUpdateInProgress);
  if (held) {
    StopLocked();
  } else if (was_held && !set) {
    StartLocked(kHalfSecondNs);  // datasheet, "Divider control": the first update comes half a second later
  }
  ArmPeriodicLocked();
  ArmLocked();
}

void Rtc::WriteRegisterBLocked(uint8_t value) {
  const bool held = DividerHeld(state_.cmos[kRegisterA]);
  SettleLocked();
  if ((value & kSet) != 0) {
    StopLocked();
    value &= static_cast<uint8_t>(~kUpdateEnable);  // datasheet, "Register B": SET clears UIE
  }
  // While it stands still the format of the bytes is the guest's affair.
  state_.cmos[kRegisterB] = value;
  if ((value & kSet) == 0 && state_.stopped && !held) {
    StartLocked(0);
  }
  UpdateIrqLocked();
  ArmPeriodicLocked();
  ArmLocked();
}

int64_t Rtc::PeriodNsLocked() const {
  constexpr int64_t kCrystalHz = 32768;
  unsigned rate = state_.cmos[kRegisterA] & kRateMask;
  if (rate == 0 || (state_.cmos[kRegisterB] & kPeriodicEnable) == 0 || DividerHeld(state_.cmos[kRegisterA])) {
    return 0;
  }
  if (rate <= 2) {
    rate += 7;  // datasheet, table 5: rates 1 and 2 with a 32.768 kHz time base
  }
  return (int64_t{1} << (rate - 1)) * kSecondNs / kCrystalHz;
}

void Rtc::ArmPeriodicLocked() {
  const int64_t period = PeriodNsLocked();
  state_.owed_periods = 0;  // of another rate, or for nobody
  state_.repaid_periods = 0;
  if (period == 0) {
    state_.periodic_next_ns = 0;
    periodic_timer_->Cancel();
    return;
  }
  // Periods are counted from the start of the divider chain, so changing the rate does not shift the phase.
  state_.periodic_next_ns = (clock_.VmNs() / period + 1) * period;
  periodic_timer_->Arm(state_.periodic_next_ns);
}

// The update and alarm timer, only while somebody wants to hear of it and has not been told yet.
void Rtc::ArmLocked() {
  const uint8_t b = state_.cmos[kRegisterB];
  const uint8_t c = state_.cmos[kRegisterC];
  if (!state_.stopped && (b & kUpdateEnable) != 0 && (c & kUpdateFlag) == 0) {
    second_timer_->Arm(clock_.VmNs() + kSecondNs - NowLocked().ns);
    return;
  }
  if (!state_.stopped && (b & kAlarmEnable) != 0 && (c & kAlarmFlag) == 0) {
    if (const auto alarm = NextAlarm(state_.settled_s, state_.cmos)) {
      // NextAlarm looks a day ahead at most, and settled-s is never after now.
      const int64_t wait_s = std::clamp<int64_t>(*alarm - NowLocked().s, 0, kDayS);
      second_timer_->Arm(clock_.VmNs() + std::max<int64_t>(wait_s * kSecondNs - NowLocked().ns, 0));
      return;
    }
  }
  second_timer_->Cancel();
}

void Rtc::OnSecond() {
  const MutexLock lock(mutex_);
  SettleLocked();
  UpdateIrqLocked();
  ArmLocked();
}

void Rtc::OnPeriod() {
  const MutexLock lock(mutex_);
  const int64_t period = PeriodNsLocked();
  if (period == 0) {
    return;
  }
  if ((state_.cmos[kRegisterC] & kPeriodicFlag) != 0) {
    OweLocked(1);  // the last one was not taken yet: this one does not reach the guest
  }
  state_.repaid_periods = 0;
  state_.cmos[kRegisterC] |= kPeriodicFlag;
  UpdateIrqLocked();
  const int64_t now = clock_.VmNs();
  const int64_t next = (now / period + 1) * period;
  if (next > state_.periodic_next_ns + period) {
    OweLocked((next - state_.periodic_next_ns) / period - 1);
  }
  state_.periodic_next_ns = next;
  periodic_timer_->Arm(next);
}

// Periods that passed without an interrupt of their own.
void Rtc::OweLocked(int64_t periods) {
  if (lost_ticks_ == LostTicks::kDiscard) {
    counters_.lost_periodic.Add(static_cast<uint64_t>(periods));
    return;
  }
  const int64_t owed = std::min<int64_t>(state_.owed_periods + periods, kMostOwed);
  counters_.lost_periodic.Add(static_cast<uint64_t>(state_.owed_periods + periods - owed));
  state_.owed_periods = static_cast<uint32_t>(owed);
}

// The guest has taken an interrupt: the next of those it is owed follows at once.
void Rtc::RepayLocked() {
  if (state_.owed_periods == 0 || state_.repaid_periods == kMostRepaid || PeriodNsLocked() == 0) {
    return;
  }
  --state_.owed_periods;
  ++state_.repaid_periods;
  state_.cmos[kRegisterC] |= kPeriodicFlag;
  UpdateIrqLocked();
}

// As Bochs's BIOS reads it: four bits a device, the third one in the upper half of its register.
void Rtc::SetBootOrder(std::string_view letters, bool check_floppy) {
  std::array<unsigned, 3> devices = {};
  for (size_t i = 0; i < devices.size() && i < letters.size(); i++) {
    switch (letters[i]) {
      case 'a':
      case 'b': devices.at(i) = 1; break;
      case 'c': devices.at(i) = 2; break;
      case 'd': devices.at(i) = 3; break;
      case 'n': devices.at(i) = 4; break;
      default: break;
    }
  }
  SetCmos(kBootOrder1, static_cast<uint8_t>(devices[2] << 4 | (check_floppy ? 0 : 1)));
  SetCmos(kBootOrder2, static_cast<uint8_t>(devices[1] << 4 | devices[0]));
}

void Rtc::SetCmos(unsigned index, uint8_t value) {
  const MutexLock lock(mutex_);
  state_.cmos[index & (kBytes - 1)] = value;
}

void Rtc::Reset() {
  const MutexLock lock(mutex_);
  // Datasheet, "RESET#": time, calendar and RAM live on the battery; interrupts are disabled and their flags
  // cleared.
  state_.cmos[kRegisterB] &=
      static_cast<uint8_t>(~(kPeriodicEnable | kAlarmEnable | kUpdateEnable | kSquareWave));
  state_.cmos[kRegisterC] = 0;
  state_.index = 0;
  UpdateIrqLocked();
  ArmPeriodicLocked();
  ArmLocked();
}

void Rtc::Resume() {
  const MutexLock lock(mutex_);
  SettleLocked();
  UpdateIrqLocked();
  ArmLocked();
  if (state_.periodic_next_ns != 0) {
    periodic_timer_->Arm(state_.periodic_next_ns);
  }
}

void Rtc::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  writer.Put(state_);
}

Result<> Rtc::Load(const StateReader& reader) {
  const RtcState state = TRY(reader.Get<RtcState>());
  const MutexLock lock(mutex_);
  state_ = state;
  return {};
}

void Rtc::ContributeAcpi(AmlSink& sink) const {
  sink.AddIsaDevice({.name = "RTC", .hid = "PNP0B00", .io = {{kPort, 8}}, .irq = 8, .status = false});
}

}  // namespace nandu
