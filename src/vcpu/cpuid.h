// CPUID as one vCPU answers it: a model's features, the machine's topology and the vCPU's place in it.
// Specifications: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux
// Documentation/virt/kvm/x86/cpuid.rst.
#pragma once

#include <vector>

#include "kvm/kvm_abi.h"
#include "vcpu/cpu_model.h"
#include "vcpu/cpu_topology.h"

namespace nandu {

// For KVM_SET_CPUID2. `tsc_khz`: the guest's, for KVM's leaf of frequencies; 0 leaves it out.
std::vector<kvm_cpuid_entry2> BuildCpuid(const CpuModel& model, const CpuTopology& topology,
                                         const HostCpu& host, unsigned index, uint32_t tsc_khz = 0);

}  // namespace nandu
