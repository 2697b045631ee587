// Feature registers (MSRs) as a CPU model has them: what KVM is told once, when a vCPU is made. Pure; any
// thread. Specifications: Intel SDM volume 4, and volume 3, appendix A (VMX capability registers).
#pragma once

#include <vector>

#include "vcpu/cpu_features.h"
#include "vcpu/host_cpu.h"
#include "vcpu/vcpu_state.h"

namespace nandu {

// Those of architectural, core and performance capabilities, and of VMX where it differs from what KVM
// offers. Only registers that this KVM lets its user set.
std::vector<MsrState> FeatureMsrs(const FeatureSet& features, const HostCpu& host);

}  // namespace nandu
