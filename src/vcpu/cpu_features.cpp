#include "vcpu/cpu_features.h"

#include <algorithm>

#include "base/check.h"
#include "base/format.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr FeatureWordInfo Cpuid(FeatureWord word, uint32_t function, CpuidRegister reg, uint32_t index = 0) {
  return {word, function, index, reg, 0, false};
}
constexpr FeatureWordInfo Msr(FeatureWord word, uint32_t msr, bool upper_half = false) {
  return {word, 0, 0, CpuidRegister::kEax, msr, upper_half};
}

using enum FeatureWord;
using enum CpuidRegister;
constexpr std::array<FeatureWordInfo, kFeatureWords> kWords = {
    Cpuid(k1Edx, 1, kEdx),
    Cpuid(k1Ecx, 1, kEcx),
    Cpuid(k7Ebx, 7, kEbx),
    Cpuid(k7Ecx, 7, kEcx),
    Cpuid(k7Edx, 7, kEdx),
    Cpuid(k71Eax, 7, kEax, 1),
    Cpuid(k80000001Edx, 0x80000001, kEdx),
    Cpuid(k80000001Ecx, 0x80000001, kEcx),
    Cpuid(k80000007Edx, 0x80000007, kEdx),
    Cpuid(k80000008Ebx, 0x80000008, kEbx),
    Cpuid(kC0000001Edx, 0xc0000001, kEdx),
    Cpuid(kKvm, 0x40000001, kEax),
    Cpuid(kKvmHints, 0x40000001, kEdx),
    Cpuid(kSvm, 0x8000000a, kEdx),
    Cpuid(kXsave, 0xd, kEax, 1),
    Cpuid(k6Eax, 6, kEax),
    Cpuid(k14Ecx, 0x14, kEcx),
    Cpuid(kSgxEax, 0x12, kEax),
    Cpuid(kSgxEbx, 0x12, kEbx),
    Cpuid(kSgxAttributes, 0x12, kEax, 1),
    Msr(kArchCapabilities, msr::kArchCapabilities),
    Msr(kCoreCapability, msr::kCoreCapability),
    Msr(kPerfCapabilities, msr::kPerfCapabilities),
    Msr(kVmxProcbased, 0x48e, true),
    Msr(kVmxSecondary, 0x48b, true),
    Msr(kVmxPinbased, 0x48d, true),
    Msr(kVmxExit, 0x48f, true),
    Msr(kVmxEntry, 0x490, true),
    Msr(kVmxMisc, 0x485),
    Msr(kVmxEptVpid, 0x48c),
    Msr(kVmxBasic, 0x480),
    Msr(kVmxVmfunc, 0x491),
};

struct OtherName {
  std::string_view name;
  std::string_view feature;
};
constexpr OtherName kOtherNames[] = {
    {"ffxsr", "fxsr-opt"}, {"i64", "lm"}, {"pclmuldq", "pclmulqdq"}, {"sse3", "pni"}, {"sse4-1", "sse4.1"},
    {"sse4-2", "sse4.2"},  {"xd", "nx"},
};

constexpr char kRegisterNames[][4] = {"EAX", "EBX", "ECX", "EDX"};

}  // namespace

const FeatureWordInfo& InfoOf(FeatureWord word) {
  const FeatureWordInfo& info = kWords[static_cast<size_t>(word)];
  NANDU_CHECK(info.word == word, "the table of feature words stands in the order of the enumeration");
  return info;
}

std::vector<Feature> FindFeatures(std::string_view name) {
  std::string wanted(name);
  std::replace(wanted.begin(), wanted.end(), '_', '-');
  for (const OtherName& other : kOtherNames) {
    if (wanted == other.name) {
      wanted = other.feature;
    }
  }
  std::vector<Feature> found;
  for (const Feature& feature : AllFeatures()) {
    if (feature.name == wanted) {
      found.push_back(feature);
    }
  }
  return found;
}

std::string FeatureText(FeatureWord word, unsigned bit) {
  std::string_view name;
  for (const Feature& feature : AllFeatures()) {
    if (feature.word == word && feature.bit == bit) {
      name = feature.name;
    }
  }
  const FeatureWordInfo& info = InfoOf(word);
  const std::string place = info.msr != 0 ? Format("MSR({:X}H)", info.msr)
                                          : Format("CPUID.{:02X}H:{}", info.function,
                                                   kRegisterNames[static_cast<size_t>(info.reg)]);
  return Format("{}{}{} [bit {}]", place, name.empty() ? "" : ".", name, bit);
}

uint64_t MigratableBits(FeatureWord word) {
  // An invariant TSC ties the guest to hosts of one frequency.
  constexpr uint64_t kInvariantTsc = 1U << 8;
  return NamedBits(word) & ~(word == FeatureWord::k80000007Edx ? kInvariantTsc : 0);
}

}  // namespace nandu
