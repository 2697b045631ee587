#include "vcpu/cpu_feature_rules.h"

namespace nandu {
namespace {

using enum FeatureWord;

constexpr uint64_t kAll = UINT64_MAX;
constexpr uint64_t kEptHalf = 0xffffffff, kVpidHalf = kAll & ~kEptHalf;  // of the MSR that tells of both
constexpr uint64_t Bit(unsigned bit) { return uint64_t{1} << bit; }

struct Rule {
  FeatureWord word;
  unsigned bit;
  FeatureWord dependent;
  uint64_t bits;
};
// A rule comes after those that may take its own feature away.
constexpr Rule kRules[] = {
    {k1Ecx, 15, kPerfCapabilities, kAll},  // PDCM
    {k80000001Ecx, 2, kSvm, kAll},         // SVM
    {k7Edx, 29, kArchCapabilities, kAll},
    {k7Edx, 30, kCoreCapability, kAll},
    {k7Ebx, 25, k14Ecx, kAll},  // Processor Trace
    {k7Ebx, 2, kSgxEax, kAll},  // SGX
    {k7Ebx, 2, kSgxEbx, kAll},
    {k7Ebx, 2, kSgxAttributes, kAll},
    {k1Ecx, 5, kVmxProcbased, kAll},  // VMX
    {k1Ecx, 5, kVmxPinbased, kAll},
    {k1Ecx, 5, kVmxExit, kAll},
    {k1Ecx, 5, kVmxEntry, kAll},
    {k1Ecx, 5, kVmxMisc, kAll},
    {k1Ecx, 5, kVmxBasic, kAll},
    {kVmxProcbased, 31, kVmxSecondary, kAll},   // secondary controls exist
    {kVmxSecondary, 1, kVmxSecondary, Bit(7)},  // EPT: unrestricted guests
    {kVmxSecondary, 1, kVmxEptVpid, kEptHalf},
    {kVmxSecondary, 5, kVmxEptVpid, kVpidHalf},  // VPID
    {kVmxSecondary, 13, kVmxVmfunc, kAll},       // VM functions
    {k80000001Edx, 27, kVmxSecondary, Bit(3)},   // RDTSCP
    {k1Ecx, 30, kVmxSecondary, Bit(11)},         // RDRAND
    {k7Ebx, 10, kVmxSecondary, Bit(12)},         // INVPCID
    {k7Ebx, 18, kVmxSecondary, Bit(16)},         // RDSEED
    {kXsave, 3, kVmxSecondary, Bit(20)},         // XSAVES
    {k7Ebx, 14, kVmxExit, Bit(23)},              // MPX
    {k7Ebx, 14, kVmxEntry, Bit(16)},
    {k7Ebx, 25, kVmxExit, Bit(25)},  // Processor Trace
    {k7Ebx, 25, kVmxEntry, Bit(18)},
    {k7Ecx, 31, kVmxExit, Bit(29)},  // supervisor protection keys
    {k7Ecx, 31, kVmxEntry, Bit(22)},
};

}  // namespace

void DropDependents(FeatureSet* features) {
  for (const Rule& rule : kRules) {
    if (!features->Has(rule.word, rule.bit)) {
      (*features)[rule.dependent] &= ~rule.bits;
    }
  }
}

uint64_t StateComponents(const FeatureSet& features) {
  constexpr unsigned kXsaveInstruction = 26;
  constexpr uint64_t kX87AndSse = 3;
  constexpr struct {
    FeatureWord word;
    unsigned bit;
    uint64_t components;
  } kKeptIn[] = {
      {k1Ecx, 28, Bit(2)},             // AVX
      {k7Ebx, 14, Bit(3) | Bit(4)},    // MPX
      {k7Ebx, 16, uint64_t{7} << 5},   // AVX-512
      {k7Ecx, 3, Bit(9)},              // protection keys
      {k7Edx, 24, Bit(17) | Bit(18)},  // AMX
  };
  if (!features.Has(k1Ecx, kXsaveInstruction)) {
    return 0;
  }
  uint64_t components = kX87AndSse;
  for (const auto& kept : kKeptIn) {
    components |= features.Has(kept.word, kept.bit) ? kept.components : 0;
  }
  return components;
}

}  // namespace nandu
