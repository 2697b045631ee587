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
  constexpr unsigned kVmx = 5;
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
    // What has no name is a width, a type or a number, and KVM's to say.
    const uint64_t value = info.upper_half ? Controls(word, features[word], offered->second)
                                           : (offered->second & ~NamedBits(word)) | features[word];
    if (value != offered->second) {
      msrs.push_back({info.msr, value});
    }
  }
  return msrs;
}

}  // namespace nandu
