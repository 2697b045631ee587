// MC146818A real-time clock and CMOS memory at 0x70/0x71, IRQ 8. Motorola MC146818A datasheet. Any vCPU
// thread may access the ports.
//
// The time is the host's CLOCK_REALTIME plus an offset that the guest changes by setting the clock, as QEMU's
// -rtc clock=host. Flags are settled when somebody looks; a timer runs only while an interrupt is enabled.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

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
  int64_t offset_s = 0;          // what the guest's clock is ahead of the host's: seconds,
  int64_t offset_ns = 0;         // and below a second
  int64_t settled_s = 0;         // flags are up to date until this second of the guest's clock
  bool stopped = false;          // SET, or the divider is held in reset: the time stands in cmos
  int64_t periodic_next_ns = 0;  // VM clock; 0: no periodic interrupt runs
};

class Rtc final : public LegacyDevice, private AcpiContributor {
 public:
  struct Options {
    int64_t offset_s = 0;        // 0: base=utc
    uint64_t low_ram_bytes = 0;  // below 4 GiB
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
  Counters counters_;
  mutable Mutex mutex_;
  RtcState state_ NANDU_TA(guarded_by(mutex_));
  Mapping mapping_;
  std::unique_ptr<Timer> second_timer_;  // update and alarm
  std::unique_ptr<Timer> periodic_timer_;
};

}  // namespace nandu
