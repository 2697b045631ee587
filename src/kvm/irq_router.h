// KVM's table of global system interrupts: the pins of the in-kernel controllers, and MSIs behind them. Any
// thread (leaf lock). Specification: Linux Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING, KVM_IRQFD.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "kvm/kvm_abi.h"
#include "kvm/kvm_vm.h"

namespace nandu {

class KvmIrqRouter {
 public:
  static constexpr uint32_t kPinGsis = 24;  // GSI n: IOAPIC pin n, and below 16 the PIC's pin n as well

  struct Options {
    // With controllers in the kernel their pins are published at once: as on a PC whose MADT says so, the
    // timer's GSI 0 arrives at IOAPIC pin 2. Outside it SetPin says what each sends.
    KvmVm::Options::Irqchip irqchip = KvmVm::Options::Irqchip::kKernel;
    // Messages name 15 bits of a destination: bits 14:8 stand in address bits 11:5 (CPUID 0x40000001, EAX bit
    // 15; Linux Documentation/virt/kvm/x86/cpuid.rst). KVM takes them from the address's upper half.
    bool extended_destinations = false;
  };
  static Result<std::unique_ptr<KvmIrqRouter>> Create(KvmVm& vm, const Options& options);

  KvmVm& vm() const { return vm_; }
  // What an IOAPIC outside the kernel sends for one of its pins; none: nothing, and no end of it is reported.
  void SetPin(uint32_t gsi, const std::optional<MsiMessage>& message);
  // Sends a message at once. False: KVM finds nobody who could take it.
  bool Signal(const MsiMessage& message);
  // A GSI for one MSI, without a route yet; fails when the table is full.
  Result<uint32_t> ReserveMsi();
  // Sets or changes the message; free when it is the one it has. False when KVM refused the table.
  bool SetMsi(uint32_t gsi, const MsiMessage& message);
  void ReleaseMsi(uint32_t gsi);
  // Connects an eventfd to a GSI; the other way round with `connect` false.
  Result<> SetIrqFd(uint32_t gsi, int fd, bool connect);

  const Counter& table_updates() const { return table_updates_; }

 private:
  KvmIrqRouter(KvmVm& vm, const Options& options) : vm_(vm), options_(options) {}
  struct MsiSlot {
    bool reserved = false;
    bool routed = false;
    MsiMessage message;
  };
  Result<> Publish() NANDU_TA(requires_capability(mutex_));
  uint64_t ToKvm(uint64_t address) const;
  kvm_irq_routing_entry MsiRoute(uint32_t gsi, const MsiMessage& message) const;
  KvmVm& vm_;
  const Options options_;
  Counter table_updates_;
  Mutex mutex_;
  std::array<std::optional<MsiMessage>, kPinGsis> pins_ NANDU_TA(guarded_by(mutex_));  // outside the kernel
  std::vector<MsiSlot> msis_ NANDU_TA(guarded_by(mutex_));                             // GSI kPinGsis + index
};

}  // namespace nandu
