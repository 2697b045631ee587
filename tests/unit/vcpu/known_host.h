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

// KVM_GET_SUPPORTED_HV_CPUID of Linux 6.1.
inline std::vector<kvm_cpuid_entry2> KnownHyperV() {
  return {{0x40000000, 0, 0, 0x40000082, 0x756e694c, 0x564b2078, 0x7648204d, {}},
          {0x40000001, 0, 0, 0x31237648, 0, 0, 0, {}},
          {0x40000002, 0, 0, 0x00003839, 0x000a0000, 0, 0, {}},
          {0x40000003, 0, 0, 0x00002aff, 0x00000830, 0, 0x00080d12, {}},
          {0x40000004, 0, 0, 0x00040e2c, 0x00000fff, 0, 0, {}},
          {0x40000005, 0, 0, 0x00000400, 0x00000040, 0, 0, {}}};
}

// A host whose KVM has every feature that CPUID can name, and none of the MSRs.
inline HostCpu GenerousHost() {
  HostCpu host = KnownHost();
  host.supported.clear();
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const FeatureWordInfo& info = InfoOf(static_cast<FeatureWord>(i));
    if (info.msr == 0) {
      host.supported.push_back(
          {info.function, info.index, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, ~0U, ~0U, ~0U, ~0U, {}});
    }
  }
  // And all of extended state.
  host.supported.push_back({0xd, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, ~0U, 0, 0, ~0U, {}});
  host.feature_msrs = {{msr::kMicrocodeRevision, 0x100000000}};
  return host;
}

// What an Intel host's KVM lets a guest hypervisor have: the VMX capability registers of SDM volume 3,
// appendix A.
inline HostCpu NestedHost() {
  HostCpu host = GenerousHost();
  host.feature_msrs[0x480] = 0x00d8100011e57ed0;  // basic
  host.feature_msrs[0x485] = 0x0000000020000165;  // miscellaneous
  host.feature_msrs[0x48a] = 0x000000000000002e;  // highest field of a VMCS
  host.feature_msrs[0x48b] = 0x021fffff00000000;  // secondary controls
  host.feature_msrs[0x48c] = 0x00000f0106734141;  // EPT and VPID
  host.feature_msrs[0x48d] = 0x0000007f00000016;  // pin-based controls
  host.feature_msrs[0x48e] = 0xfff9fffe04006172;  // processor-based controls
  host.feature_msrs[0x48f] = 0x01ffffff00036dfb;  // exit controls
  host.feature_msrs[0x490] = 0x0003ffff000011fb;  // entry controls
  host.feature_msrs[0x491] = 0x0000000000000001;  // VM functions
  return host;
}

}  // namespace nandu
