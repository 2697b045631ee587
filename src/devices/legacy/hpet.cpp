#include "devices/legacy/hpet.h"

#include <algorithm>

#include "state/state.h"

namespace nandu {

using namespace hpet;

BOOST_DESCRIBE_STRUCT(HpetTimerState, (), (config, comparator, period))
BOOST_DESCRIBE_STRUCT(HpetState, (), (config, status, counter, started_ns, timers))

namespace {

constexpr uint64_t kLow32 = 0xffffffff;
// A guest may ask for a period of one tick. Timers fire on the control loop, which serves everybody else too.
constexpr int64_t kShortestNs = 20'000;
constexpr int64_t kFarthestNs = int64_t{1} << 61;  // some seventy years
constexpr unsigned kPitGsi = 0;
constexpr unsigned kRtcIrq = 8;

bool Is32Bit(const HpetTimerState& timer) { return (timer.config & k32BitMode) != 0; }
bool IsPeriodic(const HpetTimerState& timer) { return (timer.config & kPeriodic) != 0; }
uint64_t WidthOf(const HpetTimerState& timer) { return Is32Bit(timer) ? kLow32 : ~uint64_t{0}; }

// Ticks from `counter` until `timer` matches. One when the moment has passed: hardware would wait for the
// counter to come round, which no driver means; a driver that was late is told at once.
uint64_t TicksUntil(const HpetTimerState& timer, uint64_t counter) {
  const uint64_t ahead = (timer.comparator - counter) & WidthOf(timer);
  const uint64_t half = (WidthOf(timer) >> 1) + 1;
  return ahead == 0 || ahead >= half ? 1 : ahead;
}

}  // namespace

Result<> Validate(const HpetState& state) {
  if (state.started_ns < 0) {
    return Fail(Errc::kCorrupt, "started-ns lies before the machine's start");
  }
  for (const HpetTimerState& timer : state.timers) {
    if ((timer.config & ~kWritable) != 0) {
      return Fail(Errc::kCorrupt, "a timer's config has bits {:#x} that no guest can set",
                  timer.config & ~kWritable);
    }
  }
  return {};
}

Result<std::unique_ptr<Hpet>> Hpet::Create(DeviceHost& host, Options options) {
  std::unique_ptr<Hpet> device(new Hpet(host, std::move(options)));
  device->mapping_ =
      TRY(host.memory_space().Map(kBase, Region::Io(std::make_shared<Registers>(*device), kBytes), 1));
  return device;
}

Hpet::Hpet(DeviceHost& host, Options options)
    : LegacyDevice("hpet", "hpet", "/machine/hpet"),
      clock_(host.clock()),
      isa_rtc_(host.ClaimIsaIrq(kRtcIrq)),
      options_(std::move(options)),
      rtc_line_(*this) {
  for (unsigned i = 0; i < kTimers; i++) {
    for (unsigned gsi = 0; gsi < kGsis; gsi++) {
      lines_[i][gsi] = options_.claim_gsi(gsi);
    }
    timers_[i] = clock_.CreateTimer([this, i] { OnTimer(i); });
  }
}

Hpet::~Hpet() = default;

uint64_t Hpet::CounterLocked() const {
  if ((state_.config & kEnable) == 0) {
    return state_.counter;
  }
  const int64_t ran = std::max<int64_t>(clock_.VmNs() - state_.started_ns, 0);
  return state_.counter + static_cast<uint64_t>(ran / kTickNs);
}

IrqLine* Hpet::LineLocked(unsigned index) {
  if ((state_.config & kLegacyReplacement) != 0 && index < 2) {
    return lines_[index][index == 0 ? kPitGsi : kRtcIrq].get();
  }
  const auto route = static_cast<unsigned>(state_.timers[index].config >> kRouteShift & kRouteMask);
  const bool possible = route < kGsis && (kRouteCapability >> 32 >> route & 1) != 0;
  return possible ? lines_[index][route].get() : nullptr;
}

// A level-triggered line follows its status bit; an edge is a pulse at the moment it fires.
void Hpet::DriveLocked(unsigned index) {
  IrqLine* const line = LineLocked(index);
  if (line == nullptr || (state_.timers[index].config & kLevelTriggered) == 0) {
    return;
  }
  const bool enabled =
      (state_.timers[index].config & kInterruptEnable) != 0 && (state_.config & kEnable) != 0;
  line->Set(enabled && (state_.status >> index & 1) != 0);
}

void Hpet::ArmLocked(unsigned index, bool after_fire) {
  const HpetTimerState& timer = state_.timers[index];
  if ((state_.config & kEnable) == 0 || (timer.config & kInterruptEnable) == 0) {
    timers_[index]->Cancel();
    return;
  }
  const uint64_t ticks = TicksUntil(timer, CounterLocked());
  const auto wait = static_cast<int64_t>(std::min<uint64_t>(ticks, kFarthestNs / kTickNs)) * kTickNs;
  timers_[index]->Arm(clock_.VmNs() + (after_fire ? std::max(wait, kShortestNs) : wait));
}

void Hpet::ArmAllLocked() {
  for (unsigned i = 0; i < kTimers; i++) {
    ArmLocked(i, false);
  }
}

void Hpet::OnTimer(unsigned index) {
  const MutexLock lock(mutex_);
  HpetTimerState& timer = state_.timers[index];
  if ((state_.config & kEnable) == 0 || (timer.config & kInterruptEnable) == 0) {
    return;
  }
  const uint64_t counter = CounterLocked();
  const uint64_t late = (counter - timer.comparator) & WidthOf(timer);
  if (late > WidthOf(timer) >> 1) {
    ArmLocked(index, false);  // it was set to a later moment while this firing was on its way
    return;
  }
  if ((timer.config & kLevelTriggered) != 0) {
    state_.status |= uint64_t{1} << index;
    DriveLocked(index);
  } else if (IrqLine* const line = LineLocked(index)) {
    line->Set(true);
    line->Set(false);
  }
  if (IsPeriodic(timer)) {
    const uint64_t period = timer.period & WidthOf(timer);
    if (period == 0) {
      return;
    }
    // The next match lies ahead; those passed by are one interrupt.
    const uint64_t missed = late / period;
    timer.comparator = (timer.comparator + (missed + 1) * period) & WidthOf(timer);
    counters_.merged_periods.Add(missed);
    ArmLocked(index, true);
  } else if (Is32Bit(timer)) {
    // 2.3.9.2.1: a one-shot 32-bit timer matches again when the low half came round.
    const uint64_t ticks = (kLow32 - late) + 1;
    timers_[index]->Arm(clock_.VmNs() + static_cast<int64_t>(ticks) * kTickNs);
  }
}

uint64_t Hpet::ReadWholeLocked(uint64_t reg) {
  switch (reg) {
    case kCapabilities: return kCapabilityBits;
    case kConfiguration: return state_.config;
    case kInterruptStatus: return state_.status;
    case kMainCounter: return CounterLocked();
    default: break;
  }
  const uint64_t index = (reg - kFirstTimer) / kTimerStride;
  if (reg < kFirstTimer || index >= kTimers) {
    counters_.ignored_accesses.Add();
    return 0;
  }
  const HpetTimerState& timer = state_.timers[index];
  switch ((reg - kFirstTimer) % kTimerStride) {
    case kTimerConfig: return (timer.config & ~kSetAccumulator) | kTimerCapabilities;
    case kTimerComparator: return timer.comparator;
    case kTimerFsbRoute: return 0;
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

// 2.3.1: accesses are 32 or 64 bits wide and aligned.
uint64_t Hpet::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  if (size < 4 || offset % size != 0) {
    counters_.ignored_accesses.Add();
    return 0;
  }
  const uint64_t whole = ReadWholeLocked(offset & ~uint64_t{7});
  return size == 8 ? whole : whole >> (8 * (offset & 4)) & kLow32;
}

void Hpet::WriteConfigurationLocked(uint64_t value) {
  const uint64_t counter = CounterLocked();
  const bool starts = (value & kEnable) != 0 && (state_.config & kEnable) == 0;
  const bool stops = (value & kEnable) == 0 && (state_.config & kEnable) != 0;
  const bool legacy_changes = ((value ^ state_.config) & kLegacyReplacement) != 0;
  if (legacy_changes) {
    // Lines that change hands fall first.
    for (unsigned i = 0; i < 2; i++) {
      if (IrqLine* const line = LineLocked(i)) {
        line->Set(false);
      }
    }
  }
  state_.config = value & (kEnable | kLegacyReplacement);
  if (starts || stops) {
    state_.counter = counter;
    state_.started_ns = clock_.VmNs();
  }
  if (legacy_changes) {
    isa_rtc_->Set((state_.config & kLegacyReplacement) == 0 && rtc_level_);
  }
  for (unsigned i = 0; i < kTimers; i++) {
    DriveLocked(i);
  }
  ArmAllLocked();
}

void Hpet::WriteTimerConfigLocked(unsigned index, uint64_t value) {
  HpetTimerState& timer = state_.timers[index];
  // The line it leaves falls.
  if (IrqLine* const line = LineLocked(index); line != nullptr && (timer.config & kLevelTriggered) != 0) {
    line->Set(false);
  }
  timer.config = value & kWritable;
  if ((timer.config & kLevelTriggered) == 0) {
    state_.status &= ~(uint64_t{1} << index);
  }
  timer.comparator &= WidthOf(timer);
  timer.period &= WidthOf(timer);
  DriveLocked(index);
  ArmLocked(index, false);
}

void Hpet::WriteComparatorLocked(unsigned index, uint64_t value, uint64_t mask) {
  HpetTimerState& timer = state_.timers[index];
  // 2.3.9.2.3: in periodic mode a write sets the period; with Tn_VAL_SET_CNF also the accumulator, once.
  if (IsPeriodic(timer)) {
    timer.period = ((timer.period & ~mask) | (value & mask)) & WidthOf(timer);
  }
  if (!IsPeriodic(timer) || (timer.config & kSetAccumulator) != 0) {
    timer.comparator = ((timer.comparator & ~mask) | (value & mask)) & WidthOf(timer);
    // Of a 64-bit value written as two halves the second one still belongs to it.
    if ((mask & ~kLow32) != 0 || Is32Bit(timer)) {
      timer.config &= ~kSetAccumulator;
    }
  }
  ArmLocked(index, false);
}

void Hpet::WriteStatusLocked(uint64_t ones) {
  state_.status &= ~ones;
  for (unsigned i = 0; i < kTimers; i++) {
    if ((ones >> i & 1) != 0) {
      DriveLocked(i);
    }
  }
}

void Hpet::WriteWholeLocked(uint64_t reg, uint64_t value, uint64_t mask) {
  switch (reg) {
    case kCapabilities: return;  // read-only
    case kConfiguration: return WriteConfigurationLocked((state_.config & ~mask) | (value & mask));
    case kInterruptStatus: return WriteStatusLocked(value & mask);
    case kMainCounter:
      // 2.3.7: written while it stands still; a running counter keeps the guest's wish as well.
      state_.counter = (CounterLocked() & ~mask) | (value & mask);
      state_.started_ns = clock_.VmNs();
      ArmAllLocked();
      return;
    default: break;
  }
  const uint64_t index = (reg - kFirstTimer) / kTimerStride;
  if (reg < kFirstTimer || index >= kTimers) {
    counters_.ignored_accesses.Add();
    return;
  }
  const auto timer = static_cast<unsigned>(index);
  switch ((reg - kFirstTimer) % kTimerStride) {
    case kTimerConfig:
      return WriteTimerConfigLocked(timer, (state_.timers[timer].config & ~mask) | (value & mask));
    case kTimerComparator: return WriteComparatorLocked(timer, value, mask);
    default: counters_.ignored_accesses.Add();
  }
}

void Hpet::Write(uint64_t offset, unsigned size, uint64_t value) {
  {
    const MutexLock lock(mutex_);
    if (size < 4 || offset % size != 0) {
      counters_.ignored_accesses.Add();
      return;
    }
    const unsigned shift = size == 8 ? 0 : static_cast<unsigned>(8 * (offset & 4));
    const uint64_t mask = size == 8 ? ~uint64_t{0} : kLow32 << shift;
    WriteWholeLocked(offset & ~uint64_t{7}, value << shift, mask);
  }
  TellLegacy();
}

void Hpet::TellLegacy() {
  // One at a time, so that of two vCPUs the later state is told last.
  const MutexLock telling(tell_mutex_);
  bool now = false;
  {
    const MutexLock lock(mutex_);
    now = (state_.config & kLegacyReplacement) != 0;
  }
  if (now != told_ && options_.legacy_replacement) {
    told_ = now;
    options_.legacy_replacement(now);
  }
}

void Hpet::SetRtc(bool level) {
  const MutexLock lock(mutex_);
  rtc_level_ = level;
  if ((state_.config & kLegacyReplacement) == 0) {
    isa_rtc_->Set(level);
  }
}

void Hpet::Reset() {
  {
    const MutexLock lock(mutex_);
    WriteConfigurationLocked(0);
    for (unsigned i = 0; i < kTimers; i++) {
      WriteTimerConfigLocked(i, 0);
    }
    state_ = HpetState{};
  }
  TellLegacy();
}

void Hpet::Resume() {
  {
    const MutexLock lock(mutex_);
    for (unsigned i = 0; i < kTimers; i++) {
      DriveLocked(i);
    }
    ArmAllLocked();
  }
  TellLegacy();  // after a load
}

void Hpet::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  writer.Put(state_);
}

Result<> Hpet::Load(const StateReader& reader) {
  const HpetState state = TRY(reader.Get<HpetState>());
  const MutexLock lock(mutex_);
  state_ = state;
  return {};
}

}  // namespace nandu
