// Moves state between a KVM vCPU and VcpuState. The vCPU must be outside KVM_RUN and have completed its last
// exit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kvm/kvm_vcpu.h"
#include "vcpu/vcpu_state.h"

namespace nandu {

enum class LoadKind : uint8_t {
  kReset,     // a system reset of this vCPU: the TSC restarts at 0, CPUID stays
  kFresh,     // into a vCPU that has not run; the TSC goes on from the saved value
  kSameHost,  // the same on the host that saved it: the TSC's offset is kept, so guest time goes on without a
              // step
};

// Everything but CPUID, nested state and parked writes, which the caller knows. `msrs` loses those KVM
// refuses to read, so that they are tried once.
Result<VcpuState> SaveVcpu(const KvmVcpu& vcpu, std::vector<uint32_t>* msrs);

// The state of a guest it runs itself, where the model in `state->cpuid` offers VMX or SVM.
Result<> SaveNested(const KvmVcpu& vcpu, VcpuState* state);

// Validates, then sets everything in the order the kernel needs. MSRs KVM refuses are warned of and left as
// they are.
Result<> LoadVcpu(KvmVcpu& vcpu, const VcpuState& state, LoadKind kind);

// Lets the guest's TSC run at `khz`: scaled where this host can, free where it already runs so. Fails with a
// sentence otherwise.
Result<> SetTscFrequency(KvmVcpu& vcpu, uint32_t khz);

// Conversions between KVM's structures and the described ones.
kvm_regs ToKvm(const GeneralRegisters& regs);
GeneralRegisters FromKvm(const kvm_regs& regs);
kvm_sregs2 ToKvm2(const SystemRegisters& sregs);
SystemRegisters FromKvm(const kvm_sregs& sregs);
SystemRegisters FromKvm(const kvm_sregs2& sregs);
kvm_sregs ToKvm(const SystemRegisters& sregs);

// Several lines of text with the general and system registers, for the log.
std::string DumpRegisters(const KvmVcpu& vcpu);

}  // namespace nandu
