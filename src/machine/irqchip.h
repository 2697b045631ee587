// The board's interrupt controllers and interval timer: KVM's (kernel-irqchip=on), or those of devices/legacy
// (split). The local APICs are KVM's either way. Control thread; lines: any thread.
#pragma once

#include <memory>
#include <vector>

#include <nandu/device.h>
#include <nandu/irq.h>

#include "base/result.h"
#include "kvm/irq_router.h"
#include "state/state.h"
#include "vcpu/vcpu_set.h"

namespace nandu {

class Irqchip {
 public:
  static constexpr unsigned kGsis = KvmIrqRouter::kPinGsis;

  Irqchip() = default;
  Irqchip(const Irqchip&) = delete;
  Irqchip& operator=(const Irqchip&) = delete;
  virtual ~Irqchip() = default;

  // A share of a GSI, which is high while any share is: IOAPIC pin n (GSI 0: pin 2), and below 16 the 8259s'
  // line n as well. Goes before the controllers do.
  virtual std::unique_ptr<IrqLine> ClaimGsi(unsigned number) = 0;
  // The HPET takes IRQ 0 from the interval timer, or gives it back. Any thread.
  virtual void SetHpetLegacy(bool on) = 0;
  // The controllers that are devices of the board: reset, saved and loaded with all others.
  virtual std::vector<Device*> devices() = 0;

  // The rest is for controllers that are no devices; vCPUs are paused.
  virtual Result<> Reset() = 0;
  virtual void RedriveLines() = 0;  // after a reset or a load, where they have forgotten the lines' levels
  virtual Result<> Save(const StateWriter& writer) const = 0;
  // Reads and checks now; what is returned applies it.
  virtual Result<UniqueFunction<Result<>()>> PrepareLoad(const StateReader& reader) = 0;

  // Before the vCPUs go: none of them is kicked any more.
  virtual void Disconnect() = 0;
};

std::unique_ptr<Irqchip> CreateKernelIrqchip(KvmVm& vm);
// `vcpus`: made, not started.
Result<std::unique_ptr<Irqchip>> CreateSplitIrqchip(DeviceHost& host, KvmIrqRouter& router, VcpuSet& vcpus);

}  // namespace nandu
