// What this host's CPU is and what its KVM lets a guest use. Read once; plain data afterwards, so models are
// tested without /dev/kvm.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kvm/kvm.h"
#include "kvm/kvm_abi.h"
#include "vcpu/cpu_features.h"

namespace nandu {

// On AMD these bits of CPUID.80000001H:EDX repeat those of CPUID.1:EDX (APM volume 3, appendix E.4.2).
constexpr uint32_t kAmdAliases = 0x0183f3ff;

// Leaf 0x14 of every model that has Processor Trace, index 0 and 1: what it can filter and where it can
// write.
inline constexpr struct { uint32_t eax, ebx, ecx; } kTraceLeaf[] = {{1, 0xf, 7}, {0x02490002, 0x003f1fff, 0}};

struct HostCpu {
  std::string vendor;    // "GenuineIntel"
  std::string model_id;  // brand string
  unsigned family = 0;
  unsigned model = 0;
  unsigned stepping = 0;
  unsigned phys_bits = 0;                     // of physical addresses
  std::vector<kvm_cpuid_entry2> supported;    // KVM_GET_SUPPORTED_CPUID
  std::map<uint32_t, uint64_t> feature_msrs;  // those KVM tells of
  std::vector<kvm_cpuid_entry2>
      caches;  // the processor's own leaves 2, 4, 0x80000005, 0x80000006, 0x8000001d
  std::vector<kvm_cpuid_entry2> hyperv;  // KVM_GET_SUPPORTED_HV_CPUID; empty where there is none
  bool tsc_deadline = false;             // KVM has the timer, whatever CPUID says
  // Set by whoever makes the VM with a split irqchip: MSIs may name 15 bits of a destination.
  bool extended_destinations = false;
  std::optional<uint64_t> mcg_cap;  // machine check capabilities KVM supports
};

// Asks KVM for permission to use AMX tile data first, where there are any.
HostCpu QueryHostCpu(const Kvm& kvm);

// Everything a guest may have, by KVM's answer and by what nandu adds to it.
FeatureSet SupportedFeatures(const HostCpu& host);

// The components of extended state that a guest may have, as bits of XCR0.
uint64_t SupportedComponents(const HostCpu& host);

}  // namespace nandu
