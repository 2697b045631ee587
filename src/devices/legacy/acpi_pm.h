// ACPI power management registers of the ICH9: PM1 event and control blocks, PM timer, GPE0 and the SMI
// registers, 128 ports at PMBASE. ACPI 6.5, section 4.8; Intel ICH9 datasheet (316972), section 13.8. Any
// vCPU thread.
//
// SMIs are never raised: nandu plays the firmware itself. The watchdog's registers among them are Tco's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <nandu/clock.h>
#include <nandu/io_handler.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"

namespace nandu {

struct AcpiPmState {
  uint16_t pm1_status = 0;
  uint16_t pm1_enable = 0;
  uint16_t pm1_control = 0;
  uint64_t overflow_ticks = 0x800000;  // of the PM timer: TMR_STS is set from here on
  uint64_t gpe0_status = 0;
  uint64_t gpe0_enable = 0;
  uint32_t smi_enable = 0;
  uint32_t smi_status = 0;
};

class AcpiPm final : public IoHandler {
 public:
  static constexpr uint64_t kPorts = 0x80;
  struct Counters {
    Counter ignored_accesses;  // registers that are not there
    Counter ignored_sleeps;    // sleep types that _Sx does not offer
  };
  // `power_off` is called without the lock, on the vCPU's thread: the guest entered S4 or S5.
  AcpiPm(IrqLine& sci, Clock& clock, std::function<void()> power_off);
  ~AcpiPm() override;

  std::string_view name() const override { return "acpi-pm"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

  void PressPowerButton();            // any thread
  void RaiseGpe(unsigned bit);        // any thread; 0..63
  void SetAcpiEnabled(bool enabled);  // SCI_EN, by the SMI command port

  void Reset();
  void RedriveIrq();
  AcpiPmState Save() const;
  void Load(const AcpiPmState& state);
  const Counters& counters() const { return counters_; }

 private:
  uint64_t TicksLocked() const NANDU_TA(requires_capability(mutex_));
  uint16_t StatusLocked() NANDU_TA(requires_capability(mutex_));
  uint8_t ReadByteLocked(unsigned offset) NANDU_TA(requires_capability(mutex_));
  bool WriteByteLocked(unsigned offset, uint8_t value)
      NANDU_TA(requires_capability(mutex_));  // true: power off
  bool WriteControlHighLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void UpdateSciLocked() NANDU_TA(requires_capability(mutex_));
  void OnOverflow();

  IrqLine& sci_;
  Clock& clock_;
  const std::function<void()> power_off_;
  Counters counters_;
  mutable Mutex mutex_;
  AcpiPmState state_ NANDU_TA(guarded_by(mutex_));
  const std::unique_ptr<Timer> overflow_;
};

}  // namespace nandu
