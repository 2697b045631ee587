// KVM's table of global system interrupts: the pins of the in-kernel controllers, and MSIs behind them. Any
// thread (leaf lock). Specification: Linux Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING, KVM_IRQFD.
#pragma once

#include <cstdint>
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

  // Publishes the pins: as on a PC whose MADT says so, the timer's GSI 0 arrives at IOAPIC pin 2.
  static Result<std::unique_ptr<KvmIrqRouter>> Create(KvmVm& vm);

  KvmVm& vm() const { return vm_; }
  // A GSI for one MSI, without a route yet; fails when the table is full.
  Result<uint32_t> ReserveMsi();
  // Sets or changes the message; free when it is the one it has. False when KVM refused the table.
  bool SetMsi(uint32_t gsi, const MsiMessage& message);
  void ReleaseMsi(uint32_t gsi);
  // Connects an eventfd to a GSI; the other way round with `connect` false.
  Result<> SetIrqFd(uint32_t gsi, int fd, bool connect);

  const Counter& table_updates() const { return table_updates_; }

 private:
  explicit KvmIrqRouter(KvmVm& vm) : vm_(vm) {}
  struct MsiSlot {
    bool reserved = false;
    bool routed = false;
    MsiMessage message;
  };
  Result<> Publish() NANDU_TA(requires_capability(mutex_));
  KvmVm& vm_;
  Counter table_updates_;
  Mutex mutex_;
  std::vector<MsiSlot> msis_ NANDU_TA(guarded_by(mutex_));  // GSI kPinGsis + index
};

}  // namespace nandu
