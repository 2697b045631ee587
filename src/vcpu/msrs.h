// Model-specific registers: which ones travel with a vCPU, and setting them on kernels that know fewer.
// Specification: Intel SDM volume 4; Linux Documentation/virt/kvm/api.rst, KVM_GET_MSR_INDEX_LIST.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvm/kvm.h"
#include "kvm/kvm_abi.h"
#include "kvm/kvm_vcpu.h"

namespace nandu {

namespace msr {
constexpr uint32_t kTsc = 0x10;
constexpr uint32_t kFeatureControl = 0x3a;
constexpr uint32_t kMicrocodeRevision = 0x8b;
constexpr uint32_t kCoreCapability = 0xcf;
constexpr uint32_t kArchCapabilities = 0x10a;
constexpr uint32_t kMcgCap = 0x179;
constexpr uint32_t kMcgStatus = 0x17a;
constexpr uint32_t kMcgCtl = 0x17b;
constexpr uint32_t kMiscEnable = 0x1a0;
constexpr uint32_t kMtrrPhysBase0 = 0x200;
constexpr uint32_t kMtrrFix64k = 0x250;
constexpr uint32_t kMtrrFix16k = 0x258;
constexpr uint32_t kMtrrFix4k = 0x268;
constexpr uint32_t kPat = 0x277;
constexpr uint32_t kMtrrDefType = 0x2ff;
constexpr uint32_t kPerfCapabilities = 0x345;
constexpr uint32_t kMc0Ctl = 0x400;
constexpr uint32_t kVmxBasic = 0x480;
constexpr uint32_t kVmxLast = 0x491;
constexpr uint32_t kTscDeadline = 0x6e0;
}  // namespace msr

// KVM's list, and those the model's CPUID names (MTRRs, machine check banks), without the ones that travel
// elsewhere.
std::vector<uint32_t> MsrsToSave(const Kvm& kvm, std::span<const kvm_cpuid_entry2> cpuid);

// Reads what KVM lets itself be asked for; the others leave `indices`, so that they are tried once.
std::vector<kvm_msr_entry> GetMsrsTolerantly(const KvmVcpu& vcpu, std::vector<uint32_t>* indices);

// Sets one after the other; answers those KVM refused although they differ from what it has.
std::vector<uint32_t> SetMsrsTolerantly(KvmVcpu& vcpu, std::span<const kvm_msr_entry> entries);

const kvm_cpuid_entry2* FindCpuid(std::span<const kvm_cpuid_entry2> cpuid, uint32_t function,
                                  uint32_t index = 0);

}  // namespace nandu
