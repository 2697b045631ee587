// The ICH9's TCO block: a watchdog that an OS keeps from expiring twice, and message registers, 32 ports at
// PMBASE + 0x60. Intel ICH9 datasheet (316972), section 13.9. Any vCPU thread; its timer fires on the control
// loop.
//
// Each register answers at its own port, and an access to its second byte finds nothing; status registers
// take what is written, through a mask. The datasheet says otherwise of both, but that is what guests of QEMU
// 7.2 know. SMIs are never raised, as there is no firmware to take them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include <nandu/clock.h>
#include <nandu/io_handler.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"

namespace nandu {

struct TcoState {
  uint16_t reload = 0;    // TCO_RLD
  uint8_t data_in = 0;    // TCO_DAT_IN
  uint8_t data_out = 0;   // TCO_DAT_OUT
  uint16_t status1 = 0;   // TCO1_STS
  uint16_t status2 = 0;   // TCO2_STS
  uint16_t control1 = 0;  // TCO1_CNT
  uint16_t control2 = 8;  // TCO2_CNT
  uint8_t message1 = 0;
  uint8_t message2 = 0;
  uint8_t scratch = 0;       // TCO_WDCNT
  uint8_t software_irq = 3;  // SW_IRQ_GEN
  uint16_t timer = 4;        // TCO_TMR, in ticks of 0.6 s
  int64_t deadline_ns = -1;  // VM clock; -1: it does not run
  uint8_t expirations = 0;   // since it was reloaded by the guest
};
BOOST_DESCRIBE_STRUCT(TcoState, (),
                      (reload, data_in, data_out, status1, status2, control1, control2, message1, message2,
                       scratch, software_irq, timer, deadline_ns, expirations))
Result<> Validate(const TcoState& state);

class Tco final : public IoHandler {
 public:
  static constexpr uint64_t kOffset = 0x60;  // from PMBASE
  static constexpr uint64_t kPorts = 0x20;
  struct Counters {
    Counter ignored_accesses;  // registers that are not there
    Counter expirations;
  };
  // `expired`: it expired a second time; on the control loop, no lock held. It is told every time and looks
  // itself whether the board's straps let anything come of it; true: something did, and the timer stops.
  Tco(Clock& clock, std::function<bool()> expired);
  ~Tco() override;

  std::string_view name() const override { return "tco"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

  // Why the last reset came (status 2) outlives a reset.
  void Reset();
  TcoState Save() const;
  void Load(const TcoState& state);  // validated
  const Counters& counters() const { return counters_; }

 private:
  uint16_t ReadRegisterLocked(unsigned offset) NANDU_TA(requires_capability(mutex_));
  void WriteRegisterLocked(unsigned offset, uint16_t value) NANDU_TA(requires_capability(mutex_));
  void WriteControl1Locked(uint16_t value) NANDU_TA(requires_capability(mutex_));
  bool MayRunLocked() const NANDU_TA(requires_capability(mutex_));
  void ReloadLocked() NANDU_TA(requires_capability(mutex_));
  void StopLocked() NANDU_TA(requires_capability(mutex_));
  void OnTimer();

  Clock& clock_;
  const std::function<bool()> expired_;
  Counters counters_;
  mutable Mutex mutex_;
  TcoState state_ NANDU_TA(guarded_by(mutex_));
  const std::unique_ptr<Timer> timer_;
};

}  // namespace nandu
