// Broken memory as a guest hears of it: a machine check with the address in it, as QEMU 7.2 reports one to
// its guests and a CPU with software recovery (MCG_SER_P) to its. Intel SDM volume 3, chapter 16: 16.3.2
// (banks), 16.9.3 (what the status' error codes mean).
#pragma once

#include <cstdint>
#include <span>

#include "base/lost_memory.h"
#include "base/result.h"
#include "kvm/kvm_vcpu.h"

namespace nandu {

struct MachineCheck {
  uint8_t bank = 0;
  uint64_t status = 0;      // IA32_MCi_STATUS
  uint64_t mcg_status = 0;  // IA32_MCG_STATUS
  uint64_t address = 0;     // IA32_MCi_ADDR
  uint64_t misc = 0;        // IA32_MCi_MISC
};

// For the vCPU that used a broken page, or was told of one that nobody has used yet.
MachineCheck BrokenMemoryCheck(PoisonedMemory::Kind kind, uint64_t guest_address);
// For the others, where machine checks go to all processors: family 6, model 14 and later.
MachineCheck BroadcastCheck();
bool BroadcastsMachineChecks(std::span<const kvm_cpuid_entry2> cpuid);

// Whether a guest can be told: banks, and software recovery.
bool TakesMachineChecks(uint64_t mcg_cap);

// On the vCPU's thread, outside KVM_RUN. A guest that is in another machine check, or takes none (CR4.MCE),
// shuts down, as a CPU does. api.rst, KVM_X86_SET_MCE.
Result<> RaiseMachineCheck(KvmVcpu& kvm, const MachineCheck& check);

}  // namespace nandu
