// The ICH9's LPC bridge at 1f.0: interrupt routing, ACPI power management with the TCO watchdog, the SMI
// command port, reset control and root complex registers. Intel ICH9 datasheet (316972), chapter 13. Device
// functions: control thread; registers: any vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <nandu/device.h>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/irq_router.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/rcrb.h"
#include "devices/legacy/reset_control.h"
#include "devices/legacy/tco.h"
#include "devices/pci/pci_function.h"
#include "memory/address_space.h"

namespace nandu {

struct Ich9LpcState {
  AcpiPmState pm;
  uint8_t smi_command = 0;  // APM_CNT
  uint8_t smi_status = 0;   // APM_STS
  uint8_t reset_control = 0;
  bool no_reboot = true;  // GCS
};

class Ich9Lpc final : public LegacyDevice {
 public:
  static constexpr uint8_t kDevfn = 0xf8;  // 1f.0
  using Gsis = IrqRouter::Gsis;
  // The strap of the speaker's pin: a watchdog that expired resets nothing, whatever GCS says. QEMU's
  // ICH9-LPC.noreboot.
  enum class NoReboot : uint8_t { kOff, kOn };
  // Attaches to the root bus at 1f.0. The host bridge's configuration ports must be mapped already. `gsis`:
  // its shares of IOAPIC inputs 16..23.
  static Result<std::unique_ptr<Ich9Lpc>> Create(DeviceHost& host, PciBus& root, Gsis gsis,
                                                 NoReboot strap = NoReboot::kOn);
  ~Ich9Lpc() override;

  // What firmware programs, for guests that boot without one: PMBASE 0x600, RCBA 0xfed1c000, PIRQs to
  // interrupts 10 and 11. After Reset.
  void SetUpAsFirmware();

  // PIRQA..H from the host bridge's root bus (Q35HostBridge::Options::set_pirq); any thread, a leaf call.
  void SetPirq(unsigned pirq, bool level) { router_.SetPirq(pirq, level); }
  void PressPowerButton() { pm_->PressPowerButton(); }  // any thread
  void RaiseGpe(unsigned bit) { pm_->RaiseGpe(bit); }   // any thread

  PciFunction* pci() override { return &function_; }
  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const AcpiPm::Counters& counters() const { return pm_->counters(); }
  const Tco::Counters& tco_counters() const { return tco_->counters(); }

 private:
  class SciLine final : public IrqLine {
   public:
    explicit SciLine(IrqRouter& router) : router_(router) {}
    void Set(bool level) override { router_.SetSci(level); }

   private:
    IrqRouter& router_;
  };
  Ich9Lpc(DeviceHost& host, Gsis gsis, NoReboot strap);
  void DescribeFunction();
  Result<> MapAll(PciBus& root);
  void ShowPorts();
  void FollowConfig();  // after configuration space changed: routes, PMBASE, RCBA
  bool OnWatchdog();
  uint8_t ReadSmiPort(unsigned offset);
  void WriteSmiPort(unsigned offset, uint8_t value);

  DeviceHost& host_;
  const NoReboot strap_;
  IrqRouter router_;
  SciLine sci_;
  const std::shared_ptr<AcpiPm> pm_;
  const std::shared_ptr<Rcrb> rcrb_;
  const std::shared_ptr<Tco> tco_;
  std::shared_ptr<ResetControl> reset_control_;
  mutable PciFunction function_;
  PciBus* bus_ = nullptr;
  Mutex follow_mutex_;  // one vCPU at a time carries a configuration write into the memory map
  uint32_t pm_base_ NANDU_TA(guarded_by(follow_mutex_)) = 0;  // as mapped; bit 0: enabled
  uint32_t rcba_ NANDU_TA(guarded_by(follow_mutex_)) = 0;     // as mapped
  mutable Mutex mutex_;
  uint8_t smi_command_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint8_t smi_status_ NANDU_TA(guarded_by(mutex_)) = 0;
  Mapping pm_mapping_;
  Mapping tco_mapping_;
  Mapping rcrb_mapping_;
  Mapping smi_mapping_;
  Mapping reset_mapping_;
};

}  // namespace nandu
