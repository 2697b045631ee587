// HPET at 0xfed00000: a 100 MHz counter on the VM clock and three timers. IA-PC HPET specification 1.0a. Any
// vCPU thread.
//
// In legacy replacement mode timer 0 takes the PIT's interrupt and timer 1 the clock's (IRQ 8); the machine
// silences the PIT, and the clock's line runs through here. Message-signalled delivery is not offered, as on
// QEMU by default.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include <nandu/clock.h>
#include <nandu/io_handler.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/hpet_registers.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

struct HpetTimerState {
  uint64_t config = 0;
  uint64_t comparator = ~uint64_t{0};
  uint64_t period = 0;  // ticks, what the guest last wrote; periodic mode
};
struct HpetState {
  uint64_t config = 0;
  uint64_t status = 0;
  uint64_t counter = 0;    // while it stands still
  int64_t started_ns = 0;  // VM clock at which `counter` was right, while it runs
  std::array<HpetTimerState, hpet::kTimers> timers = {};
};

class Hpet final : public LegacyDevice {
 public:
  struct Options {
    // A share of GSI 0..23 as the IOAPIC and the 8259s see them. Called while the HPET is made.
    std::function<std::unique_ptr<IrqLine>(unsigned gsi)> claim_gsi = {};
    // Legacy replacement went on or off: the PIT stops or resumes raising IRQ 0. On a vCPU or the control
    // thread, without a lock.
    std::function<void(bool on)> legacy_replacement = {};
  };
  struct Counters {
    Counter ignored_accesses;  // widths and registers that are not there
    Counter merged_periods;    // periods too short to be told apart
  };
  static Result<std::unique_ptr<Hpet>> Create(DeviceHost& host, Options options);
  ~Hpet() override;

  // What the clock (RTC) pulls; arrives at ISA 8 except in legacy replacement mode.
  IrqLine& rtc_line() { return rtc_line_; }

  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  static constexpr unsigned kGsis = 24;
  class RtcLine final : public IrqLine {
   public:
    explicit RtcLine(Hpet& owner) : owner_(owner) {}
    void Set(bool level) override { owner_.SetRtc(level); }

   private:
    Hpet& owner_;
  };
  class Registers final : public IoHandler {
   public:
    explicit Registers(Hpet& owner) : owner_(owner) {}
    std::string_view name() const override { return "hpet"; }
    uint64_t Read(uint64_t offset, unsigned size) override { return owner_.Read(offset, size); }
    ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
      owner_.Write(offset, size, value);
      return ExitDone::Done();
    }

   private:
    Hpet& owner_;
  };
  Hpet(DeviceHost& host, Options options);
  uint64_t Read(uint64_t offset, unsigned size);
  void Write(uint64_t offset, unsigned size, uint64_t value);
  uint64_t ReadWholeLocked(uint64_t reg) NANDU_TA(requires_capability(mutex_));
  // `mask`: the bytes of `value` that were written.
  void WriteWholeLocked(uint64_t reg, uint64_t value, uint64_t mask) NANDU_TA(requires_capability(mutex_));
  void WriteConfigurationLocked(uint64_t value) NANDU_TA(requires_capability(mutex_));
  void WriteTimerConfigLocked(unsigned index, uint64_t value) NANDU_TA(requires_capability(mutex_));
  void WriteComparatorLocked(unsigned index, uint64_t value, uint64_t mask)
      NANDU_TA(requires_capability(mutex_));
  void WriteStatusLocked(uint64_t ones) NANDU_TA(requires_capability(mutex_));
  uint64_t CounterLocked() const NANDU_TA(requires_capability(mutex_));
  void ArmLocked(unsigned index, bool after_fire) NANDU_TA(requires_capability(mutex_));
  void ArmAllLocked() NANDU_TA(requires_capability(mutex_));
  IrqLine* LineLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void DriveLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void OnTimer(unsigned index);
  void SetRtc(bool level);
  void TellLegacy();

  Clock& clock_;
  const std::unique_ptr<IrqLine> isa_rtc_;  // where the clock's interrupt goes on to
  const Options options_;
  std::array<std::array<std::unique_ptr<IrqLine>, kGsis>, hpet::kTimers> lines_;  // each timer's shares
  RtcLine rtc_line_;
  Counters counters_;
  mutable Mutex mutex_;
  HpetState state_ NANDU_TA(guarded_by(mutex_));
  bool rtc_level_ NANDU_TA(guarded_by(mutex_)) = false;
  Mutex tell_mutex_;
  bool told_ NANDU_TA(guarded_by(tell_mutex_)) = false;  // what legacy_replacement heard last
  Mapping mapping_;
  std::array<std::unique_ptr<Timer>, hpet::kTimers> timers_;
};

}  // namespace nandu
