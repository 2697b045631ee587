#include "vcpu/feature_msrs.h"

#include "vcpu/msrs.h"

namespace nandu {
namespace {

using enum FeatureWord;

constexpr uint64_t kLow = 0xffffffff;

// Settings of VMX controls that say a bit may be 0, and not that it may be 1 (SDM volume 3, A.3.2, A.4 and
// A.5).
uint64_t MayBeZero(FeatureWord word) {
  switch (word) {
    case kVmxProcbased: return 3U << 15;  // loading and storing CR3 without an exit
    case kVmxExit:
    case kVmxEntry: return 1U << 2;  // debug controls stay as they are
    default: return 0;
  }
}

// Low half: bits that must be 1; high half: bits that may be (SDM volume 3, A.3.1).
uint64_t Controls(FeatureWord word, uint64_t features, uint64_t offered) {
  const uint64_t may_be_zero = MayBeZero(word);
  const uint64_t must = (offered & kLow) | (may_be_zero & ~features);
  const uint64_t may = (features | must) & offered >> 32;
  return may << 32 | must;
}

// One register tells of two things a model may lack: EPT in its low half, VPID in the other.
uint64_t Meaningful(FeatureWord word, const FeatureSet& features) {
  constexpr unsigned kEpt = 1, kVpid = 5;
  if (word != kVmxEptVpid) {
    return UINT64_MAX;
  }
  return (features.Has(kVmxSecondary, kEpt) ? kLow : 0) | (features.Has(kVmxSecondary, kVpid) ? ~kLow : 0);
}

}  // namespace

std::vector<MsrState> FeatureMsrs(const FeatureSet& features, const HostCpu& host) {
  std::vector<MsrState> msrs;
  const struct {
    FeatureWord word;
    FeatureWord enabled_by;
    unsigned bit;
  } plain[] = {{kArchCapabilities, k7Edx, 29}, {kCoreCapability, k7Edx, 30}, {kPerfCapabilities, k1Ecx, 15}};
  for (const auto& row : plain) {
    // What CPUID does not tell of reads zero, for a KVM that lets a guest read it all the same. Performance
    // capabilities take the PMU that a model may not have.
    const bool enabled = features.Has(row.enabled_by, row.bit);
    if (host.feature_msrs.contains(InfoOf(row.word).msr) && (enabled || row.word != kPerfCapabilities)) {
      msrs.push_back({InfoOf(row.word).msr, enabled ? features[row.word] : 0});
    }
  }
  constexpr unsigned kVmx = 5, kLongMode = 29;
  if (!features.Has(k1Ecx, kVmx)) {
    return msrs;
  }
  for (const FeatureWord word : {kVmxBasic, kVmxMisc, kVmxSecondary, kVmxEptVpid, kVmxPinbased, kVmxProcbased,
                                 kVmxExit, kVmxEntry, kVmxVmfunc}) {
    const FeatureWordInfo& info = InfoOf(word);
    const auto offered = host.feature_msrs.find(info.msr);
    if (offered == host.feature_msrs.end()) {
      continue;
    }
    uint64_t wanted = features[word];
    if (word == kVmxExit && features.Has(k80000001Edx, kLongMode)) {
      wanted |= 1U << 9;  // a hypervisor of 64 bits: without a name
    }
    // Otherwise what has no name is a width, a type or a number, and KVM's to say.
    const uint64_t nameless = offered->second & ~NamedBits(word) & Meaningful(word, features);
    const uint64_t value = info.upper_half ? Controls(word, wanted, offered->second) : nameless | wanted;
    // No function is no register rather than an empty one.
    if (value != offered->second && (word != kVmxVmfunc || value != 0)) {
      msrs.push_back({info.msr, value});
    }
  }
  // SDM volume 3, A.9: the highest field, the TSC multiplier or else the preemption timer's value.
  constexpr uint32_t kVmcsEnum = 0x48a;
  constexpr unsigned kTscScaling = 25;
  if (host.feature_msrs.contains(kVmcsEnum)) {
    msrs.push_back({kVmcsEnum, features.Has(kVmxSecondary, kTscScaling) ? 0x32U : 0x2eU});
  }
  return msrs;
}

}  // namespace nandu
