// MC146818A real-time clock and CMOS memory at 0x70/0x71, IRQ 8. Motorola MC146818A datasheet. Any vCPU
// thread may access the ports.
//
// The time is a clock of the host's or of the VM's (-rtc clock=) plus an offset that the guest changes by
// setting the clock. Flags are settled when somebody looks; a timer runs only while an interrupt is enabled.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <nandu/clock.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/rtc_calendar.h"
#include "memory/address_space.h"

namespace nandu {

struct RtcState {
  rtc::Cmos cmos = {};
  uint8_t index = 0;
  int64_t offset_s = 0;          // what the guest's clock is ahead of the one it follows: seconds,
  int64_t offset_ns = 0;         // and below a second
  int64_t settled_s = 0;         // flags are up to date until this second of the guest's clock
  bool stopped = false;          // SET, or the divider is held in reset: the time stands in cmos
  int64_t periodic_next_ns = 0;  // VM clock; 0: no periodic interrupt runs
  uint32_t owed_periods = 0;     // driftfix=slew: periodic interrupts the guest has not had yet,
  uint32_t repaid_periods = 0;   // and those it had back since the last period
};

class Rtc final : public LegacyDevice, private AcpiContributor {
 public:
  enum class Follows : uint8_t {
    kRealtime,   // clock=host: the host's time of day, with its leaps
    kMonotonic,  // clock=rt: the time of day at start, and what has passed since
    kVm,         // clock=vm: the time of day at start, and what the VM has run since
  };
  enum class LostTicks : uint8_t { kDiscard, kSlew };  // driftfix=none, driftfix=slew
  struct Options {
    Follows follows = Follows::kRealtime;
    LostTicks lost_ticks = LostTicks::kDiscard;
    int64_t offset_s = 0;                 // of the start, from the host's time of day; 0: base=utc
    std::optional<int64_t> start_s = {};  // the start itself, seconds since 1970: base=DATE
    uint64_t low_ram_bytes = 0;           // below 4 GiB
    uint64_t high_ram_bytes = 0;
    unsigned cpus = 1;
  };
  struct Counters {
    Counter lost_periodic;  // periods that passed without an interrupt of their own
  };
  // `irq`: ISA 8, through Hpet::rtc_line() where there is an HPET.
  static Result<std::unique_ptr<Rtc>> Create(DeviceHost& host, IrqLine& irq, const Options& options);
  ~Rtc() override;

  // Before the first vCPU runs, or while vCPUs are stopped: what firmware finds there.
  void SetCmos(unsigned index, uint8_t value);
  // -boot order=: letters of devices, three at most; an unknown one is none. And whether a floppy must have a
  // boot sector's signature.
  void SetBootOrder(std::string_view letters, bool check_floppy);

  AcpiContributor* acpi() override { return this; }
  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  Rtc(DeviceHost& host, IrqLine& irq, const Options& options);
  void ContributeAcpi(AmlSink& sink) const override;
  uint8_t ReadPort(unsigned offset);
  void WritePort(unsigned offset, uint8_t value);
  struct Instant {
    int64_t s = 0;   // since 1970
    int64_t ns = 0;  // below a second
  };
  int64_t FollowedNs() const;  // the clock this one follows
  void StartAt(const Options& options) NANDU_TA(requires_capability(mutex_));
  void OweLocked(int64_t periods) NANDU_TA(requires_capability(mutex_));
  void RepayLocked() NANDU_TA(requires_capability(mutex_));
  Instant NowLocked() const NANDU_TA(requires_capability(mutex_));  // the guest's clock
  uint8_t ReadLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void WriteLocked(unsigned index, uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteRegisterALocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteRegisterBLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void StopLocked() NANDU_TA(requires_capability(mutex_));
  void StartLocked(int64_t into_second_ns) NANDU_TA(requires_capability(mutex_));
  void SettleLocked() NANDU_TA(requires_capability(mutex_));
  void ArmLocked() NANDU_TA(requires_capability(mutex_));
  void ArmPeriodicLocked() NANDU_TA(requires_capability(mutex_));
  void UpdateIrqLocked() NANDU_TA(requires_capability(mutex_));
  int64_t PeriodNsLocked() const NANDU_TA(requires_capability(mutex_));
  void OnSecond();
  void OnPeriod();

  IrqLine& irq_;
  Clock& clock_;
  const Follows follows_;
  const LostTicks lost_ticks_;
  const int64_t start_realtime_ns_;   // kMonotonic counts from here,
  const int64_t start_monotonic_ns_;  // where this was the time
  Counters counters_;
  mutable Mutex mutex_;
  RtcState state_ NANDU_TA(guarded_by(mutex_));
  Mapping mapping_;
  std::unique_ptr<Timer> second_timer_;  // update and alarm
  std::unique_ptr<Timer> periodic_timer_;
};

}  // namespace nandu
