// The host behind qemu_cpuid.h, for models that are resolved without /dev/kvm.
#pragma once

#include "qemu_cpuid.h"
#include "vcpu/host_cpu.h"
#include "vcpu/msrs.h"

namespace nandu {

inline HostCpu KnownHost() {
  HostCpu host;
  host.vendor = "GenuineIntel";
  host.model_id = "Intel(R) Xeon(R) Processor";
  host.family = 6;
  host.model = 167;
  host.stepping = 1;
  host.phys_bits = 48;
  for (const qemu::SupportedLeaf& leaf : qemu::kSupported) {
    host.supported.push_back(
        {leaf.function, leaf.index, leaf.flags, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx, {}});
  }
  host.feature_msrs = {{msr::kMicrocodeRevision, 0x100000000}, {msr::kArchCapabilities, 0xc00e16d}};
  host.tsc_deadline = true;
  host.mcg_cap = 0x1000020;
  return host;
}

}  // namespace nandu
