#include "vcpu/host_cpu.h"

#include <algorithm>
#include <array>
#include <cpuid.h>
#include <cstring>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr unsigned long kArchRequestGuestPermission = 0x1025;  // arch_prctl(2): ARCH_REQ_XCOMP_GUEST_PERM
constexpr unsigned kXfeatureTileData = 18;

constexpr uint32_t kEdxMce = 1U << 7, kEdxMtrr = 1U << 12, kEdxMca = 1U << 14, kEdxPat = 1U << 16;
constexpr uint32_t kEcxTscDeadline = 1U << 24, kEcxHypervisor = 1U << 31;
constexpr uint32_t kEcxTopoext = 1U << 22;
constexpr uint32_t k6Arat = 1U << 2;
constexpr uint32_t kProcessorTrace = 1U << 25;
constexpr uint32_t kKvmExtendedDestinations = 1U << 15;

std::array<uint32_t, 4> Cpuid(uint32_t function, uint32_t index = 0) {
  std::array<uint32_t, 4> r{};
  __cpuid_count(function, index, r[0], r[1], r[2], r[3]);
  return r;
}

void AppendText(std::string* text, uint32_t word) {
  for (unsigned i = 0; i < 4; ++i) {
    if (const char c = static_cast<char>(word >> (8 * i)); c != '\0') {
      *text += c;
    }
  }
}

std::vector<kvm_cpuid_entry2> ReadCaches(uint32_t level, uint32_t xlevel) {
  std::vector<kvm_cpuid_entry2> leaves;
  const auto add = [&](uint32_t function, uint32_t index, uint32_t flags) {
    const std::array<uint32_t, 4> r = Cpuid(function, index);
    leaves.push_back({function, index, flags, r[0], r[1], r[2], r[3], {}});
    return r[0];
  };
  constexpr unsigned kMaxCaches = 8;
  if (level >= 2) {
    add(2, 0, 0);
  }
  for (unsigned i = 0;
       level >= 4 && i < kMaxCaches && (add(4, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX) & 0x1f) != 0; ++i) {
  }
  if (xlevel >= 0x80000006) {
    add(0x80000005, 0, 0);
    add(0x80000006, 0, 0);
  }
  for (unsigned i = 0; xlevel >= 0x8000001d && i < kMaxCaches &&
                       (add(0x8000001d, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX) & 0x1f) != 0;
       ++i) {
  }
  return leaves;
}

// Models with Processor Trace have all the same: that of Ice Lake servers (SDM volume 2, CPUID leaf 0x14).
bool HasProcessorTrace(const HostCpu& host) {
  const kvm_cpuid_entry2* first = FindCpuid(host.supported, 0x14);
  const kvm_cpuid_entry2* second = FindCpuid(host.supported, 0x14, 1);
  constexpr uint32_t kRanges = 7;
  const auto covers = [](uint32_t has, uint32_t needed) { return (has & needed) == needed; };
  return first != nullptr && second != nullptr && covers(first->ebx, kTraceLeaf[0].ebx) &&
         covers(first->ecx, kTraceLeaf[0].ecx) && (second->eax & kRanges) >= (kTraceLeaf[1].eax & kRanges) &&
         covers(second->eax, kTraceLeaf[1].eax & ~kRanges) && covers(second->ebx, kTraceLeaf[1].ebx);
}

}  // namespace

HostCpu QueryHostCpu(const Kvm& kvm) {
  HostCpu host;
  if ((kvm.SupportedXcr0() >> kXfeatureTileData & 1) != 0) {
    // Refused: KVM then leaves the tiles out of what it supports.
    syscall(SYS_arch_prctl, kArchRequestGuestPermission, kXfeatureTileData);
  }
  const std::array<uint32_t, 4> first = Cpuid(0);
  AppendText(&host.vendor, first[1]);
  AppendText(&host.vendor, first[3]);
  AppendText(&host.vendor, first[2]);
  const uint32_t version = Cpuid(1)[0];
  host.family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
  host.model = (version >> 4 & 0xf) | (version >> 12 & 0xf0);
  host.stepping = version & 0xf;
  const uint32_t xlevel = Cpuid(0x80000000)[0];
  for (uint32_t function = 0x80000002; function <= 0x80000004 && function <= xlevel; ++function) {
    for (const uint32_t word : Cpuid(function)) {
      AppendText(&host.model_id, word);
    }
  }
  host.phys_bits = xlevel >= 0x80000008 ? Cpuid(0x80000008)[0] & 0xff : 36;
  host.caches = ReadCaches(first[0], xlevel);
  host.supported = kvm.SupportedCpuid();
  host.hyperv = kvm.SupportedHyperVCpuid();
  for (uint32_t index :
       {msr::kMicrocodeRevision, msr::kCoreCapability, msr::kArchCapabilities, msr::kPerfCapabilities}) {
    if (const std::optional<uint64_t> value = kvm.FeatureMsr(index)) {
      host.feature_msrs[index] = *value;
    }
  }
  const kvm_cpuid_entry2* features = FindCpuid(host.supported, 1);
  if (features != nullptr && (features->ecx & 1U << 5) != 0) {
    for (uint32_t index = msr::kVmxBasic; index <= msr::kVmxLast; ++index) {
      if (const std::optional<uint64_t> value = kvm.FeatureMsr(index)) {
        host.feature_msrs[index] = *value;
      }
    }
  }
  host.tsc_deadline = kvm.has(KVM_CAP_TSC_DEADLINE_TIMER);
  uint64_t mcg_cap = 0;
  if (kvm.has(KVM_CAP_MCE) && ioctl(kvm.fd(), KVM_X86_GET_MCE_CAP_SUPPORTED, &mcg_cap) == 0) {
    host.mcg_cap = mcg_cap;
  }
  return host;
}

uint64_t SupportedComponents(const HostCpu& host) {
  const kvm_cpuid_entry2* state = FindCpuid(host.supported, 0xd);
  return state == nullptr ? 0 : uint64_t{state->edx} << 32 | state->eax;
}

FeatureSet SupportedFeatures(const HostCpu& host) {
  FeatureSet features;
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    const FeatureWordInfo& info = InfoOf(word);
    if (info.msr != 0) {
      const auto value = host.feature_msrs.find(info.msr);
      if (value != host.feature_msrs.end()) {
        // Of a pair of masks: what may be 1 and need not be.
        features[word] = info.upper_half ? value->second >> 32 & ~value->second : value->second;
      }
    } else if (const kvm_cpuid_entry2* entry = FindCpuid(host.supported, info.function, info.index)) {
      const uint32_t registers[] = {entry->eax, entry->ebx, entry->ecx, entry->edx};
      features[word] = registers[static_cast<size_t>(info.reg)];
    }
  }
  if (!HasProcessorTrace(host)) {
    features[FeatureWord::k7Ebx] &= ~uint64_t{kProcessorTrace};
  }
  // What KVM can do and old kernels forget to say, or leaves to its user.
  features[FeatureWord::k1Edx] |= kEdxMtrr | kEdxPat | kEdxMce | kEdxMca;
  features[FeatureWord::k1Ecx] |= kEcxHypervisor | (host.tsc_deadline ? kEcxTscDeadline : 0U);
  features[FeatureWord::k6Eax] |= k6Arat;
  features[FeatureWord::k80000001Edx] |= features[FeatureWord::k1Edx] & kAmdAliases;
  features[FeatureWord::k80000001Ecx] |= kEcxTopoext;  // describes the topology only
  features[FeatureWord::kKvmHints] |= 1;               // a hint of ours, not of KVM's
  features[FeatureWord::kKvm] &= ~uint64_t{kKvmExtendedDestinations};
  features[FeatureWord::kKvm] |= host.extended_destinations ? kKvmExtendedDestinations : 0U;
  return features;
}

}  // namespace nandu
