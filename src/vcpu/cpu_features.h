// Names of x86 CPU features as users of -cpu write them, and where each stands in CPUID or a feature MSR.
// Specifications: Intel SDM volume 2 (CPUID) and volume 3, appendix A (VMX capability MSRs); AMD APM volume
// 3, appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst. The names are those of QEMU 7.2.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nandu {

enum class FeatureWord : uint8_t {
  k1Edx,
  k1Ecx,
  k7Ebx,
  k7Ecx,
  k7Edx,
  k71Eax,
  k80000001Edx,
  k80000001Ecx,
  k80000007Edx,
  k80000008Ebx,
  kC0000001Edx,
  kKvm,       // 0x40000001 EAX
  kKvmHints,  // 0x40000001 EDX
  kSvm,       // 0x8000000a EDX
  kXsave,     // 0xd, 1, EAX
  k6Eax,
  k14Ecx,
  kSgxEax,  // 0x12, 0
  kSgxEbx,
  kSgxAttributes,  // 0x12, 1, EAX
  kArchCapabilities,
  kCoreCapability,
  kPerfCapabilities,
  kVmxProcbased,
  kVmxSecondary,
  kVmxPinbased,
  kVmxExit,
  kVmxEntry,
  kVmxMisc,
  kVmxEptVpid,
  kVmxBasic,
  kVmxVmfunc,
  kCount,
};
constexpr size_t kFeatureWords = static_cast<size_t>(FeatureWord::kCount);

enum class CpuidRegister : uint8_t { kEax, kEbx, kEcx, kEdx };

struct FeatureWordInfo {
  FeatureWord word;
  uint32_t function = 0;  // CPUID; 0 and msr != 0: a feature MSR
  uint32_t index = 0;
  CpuidRegister reg = CpuidRegister::kEax;
  uint32_t msr = 0;
  bool upper_half = false;  // of a VMX control MSR: the settings that may be 1
};
const FeatureWordInfo& InfoOf(FeatureWord word);

struct Feature {
  std::string_view name;
  FeatureWord word;
  uint8_t bit;
};
// Sorted by name. A name can stand for two bits ("kvmclock").
std::span<const Feature> AllFeatures();
// Empty when unknown. '_' counts as '-', and QEMU's other spellings are known ("sse3" is "pni").
std::vector<Feature> FindFeatures(std::string_view name);
// "CPUID.01H:ECX.x2apic [bit 21]", "MSR(10AH).rdctl-no [bit 0]".
std::string FeatureText(FeatureWord word, unsigned bit);
// Bits of a word that have a name and may travel to another host: what -cpu host offers.
uint64_t MigratableBits(FeatureWord word);
uint64_t NamedBits(FeatureWord word);

// One value per feature word.
class FeatureSet {
 public:
  uint64_t& operator[](FeatureWord word) { return words_[static_cast<size_t>(word)]; }
  uint64_t operator[](FeatureWord word) const { return words_[static_cast<size_t>(word)]; }
  uint32_t Low(FeatureWord word) const { return static_cast<uint32_t>((*this)[word]); }
  bool Has(FeatureWord word, unsigned bit) const { return ((*this)[word] >> bit & 1) != 0; }
  bool operator==(const FeatureSet&) const = default;

 private:
  std::array<uint64_t, kFeatureWords> words_{};
};

}  // namespace nandu
