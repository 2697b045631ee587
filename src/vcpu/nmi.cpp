#include "vcpu/nmi.h"

#include <cstring>

namespace nandu {

bool DeliversNmi(uint32_t lint1) {
  constexpr uint32_t kMasked = 1U << 16;
  constexpr uint32_t kMode = 7U << 8;
  constexpr uint32_t kNmi = 4U << 8;
  return (lint1 & kMasked) == 0 && (lint1 & kMode) == kNmi;
}

Result<> RaiseExternalNmi(KvmVcpu& kvm, bool apic_enabled) {
  constexpr size_t kLint1 = 0x360;
  if (apic_enabled) {
    kvm_lapic_state apic{};
    TRY(kvm.Get(KVM_GET_LAPIC, &apic, "local APIC"));
    uint32_t lint1 = 0;
    std::memcpy(&lint1, apic.regs + kLint1, sizeof(lint1));
    if (!DeliversNmi(lint1)) {
      return {};
    }
  }
  return kvm.Set(KVM_NMI, nullptr, "KVM_NMI");
}

}  // namespace nandu
