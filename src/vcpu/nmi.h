// A non-maskable interrupt from outside (a button, a watchdog), as a PC's board raises it: at LINT1 of every
// local APIC, whose driver says whether it arrives. Intel SDM volume 3, 11.5.1 (local vector table).
#pragma once

#include "base/result.h"
#include "kvm/kvm_vcpu.h"

namespace nandu {

// On the vCPU's thread, outside KVM_RUN. Where LINT1 is masked or delivers something else nothing happens.
Result<> RaiseExternalNmi(KvmVcpu& kvm, bool apic_enabled);

// Whether this value of the LINT1 register delivers NMIs.
bool DeliversNmi(uint32_t lint1);

}  // namespace nandu
