#include "vcpu/hyperv.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr uint32_t kVendorLeaf = 0x40000000, kInterfaceLeaf = 0x40000001, kVersionLeaf = 0x40000002,
                   kFeaturesLeaf = 0x40000003, kRecommendationsLeaf = 0x40000004, kLimitsLeaf = 0x40000005;
constexpr uint32_t kInterface = 0x31237648;  // "Hv#1"
constexpr uint32_t kNoSpinlockAttempts = 0xffffffff;

// TLFS 2.4.4 and 2.4.5.
constexpr uint32_t Bit(unsigned bit) { return uint32_t{1} << bit; }
constexpr uint32_t kHypercalls = Bit(5);                  // features EAX: whoever sees one may make them
constexpr uint32_t kDynamicPartitioning = Bit(3);         // features EDX: processors may come and go
constexpr uint32_t kMessages = Bit(4), kEvents = Bit(5);  // features EBX: post and signal, with the SynIC
constexpr uint32_t kApicAccess = Bit(3), kNoCoreSharing = Bit(18);  // recommendations EAX

constexpr uint32_t Mask(Enlightenment which) { return uint32_t{1} << static_cast<unsigned>(which); }

using enum Enlightenment;
// What tells of an enlightenment, and what it is built on.
struct Row {
  EnlightenmentInfo info;
  uint32_t features_eax;
  uint32_t features_edx;
  uint32_t recommendations;
  uint32_t needs;
};
constexpr Row kRows[] = {
    {{"hv-relaxed", kRelaxed}, 0, 0, Bit(5), 0},
    {{"hv-vapic", kVapic}, Bit(4), 0, kApicAccess, 0},
    {{"hv-time", kTime}, Bit(1) | Bit(9), 0, 0, 0},
    {{"hv-vpindex", kVpIndex}, Bit(6), 0, 0, 0},
    {{"hv-runtime", kRuntime}, Bit(0), 0, 0, 0},
    {{"hv-reset", kReset}, Bit(7), 0, 0, 0},
    {{"hv-crash", kCrash}, 0, Bit(10), 0, 0},
    {{"hv-synic", kSynic}, Bit(2), 0, 0, Mask(kVpIndex)},
    {{"hv-stimer", kStimer}, Bit(3), 0, 0, Mask(kSynic) | Mask(kTime)},
    {{"hv-stimer-direct", kStimerDirect}, 0, Bit(19), 0, Mask(kStimer)},
    {{"hv-frequencies", kFrequencies}, Bit(11), Bit(8), 0, 0},
    {{"hv-reenlightenment", kReenlightenment}, Bit(13), 0, 0, 0},
    {{"hv-tlbflush", kTlbFlush}, 0, 0, Bit(2) | Bit(11), Mask(kVpIndex)},
    {{"hv-tlbflush-ext", kTlbFlushExt}, 0, Bit(14), 0, Mask(kTlbFlush)},
    {{"hv-ipi", kIpi}, 0, 0, Bit(10) | Bit(11), Mask(kVpIndex)},
    {{"hv-avic", kAvic}, 0, 0, Bit(9), 0},
    {{"hv-xmm-input", kXmmInput}, 0, Bit(4), 0, 0},
};

constexpr auto kInfos = [] {
  std::array<EnlightenmentInfo, std::size(kRows)> infos{};
  for (size_t i = 0; i < infos.size(); ++i) {
    infos[i] = kRows[i].info;
  }
  return infos;
}();
static_assert(kInfos.size() == static_cast<size_t>(kCount) && kInfos.back().which == kXmmInput,
              "rows stand in the order of the enumeration");

std::string_view NameOf(Enlightenment which) { return kInfos[static_cast<size_t>(which)].name; }

bool Covers(std::span<const kvm_cpuid_entry2> supported, const Row& row) {
  const kvm_cpuid_entry2* features = FindCpuid(supported, kFeaturesLeaf);
  const kvm_cpuid_entry2* advice = FindCpuid(supported, kRecommendationsLeaf);
  return features != nullptr && advice != nullptr && (row.features_eax & ~features->eax) == 0 &&
         (row.features_edx & ~features->edx) == 0 && (row.recommendations & ~advice->eax) == 0;
}

uint32_t NoCoreSharing(const HyperVOptions& options, std::span<const kvm_cpuid_entry2> supported) {
  const kvm_cpuid_entry2* advice = FindCpuid(supported, kRecommendationsLeaf);
  switch (options.no_nonarch_coresharing) {
    case HyperVOptions::Answer::kOff: return 0;
    case HyperVOptions::Answer::kOn: return kNoCoreSharing;
    case HyperVOptions::Answer::kAuto: return advice != nullptr ? advice->eax & kNoCoreSharing : 0U;
  }
  return 0;
}

kvm_cpuid_entry2 Entry(uint32_t function, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx) {
  return {function, 0, 0, eax, ebx, ecx, edx, {}};
}

}  // namespace

void HyperVOptions::Set(Enlightenment which, bool on) {
  enlightenments = on ? enlightenments | Mask(which) : enlightenments & ~Mask(which);
}

std::span<const EnlightenmentInfo> Enlightenments() { return kInfos; }

Result<> CheckHyperV(const HyperVOptions& options, std::span<const kvm_cpuid_entry2> supported) {
  if (options.shown() && FindCpuid(supported, kFeaturesLeaf) == nullptr) {
    return Fail(Errc::kUnsupported,
                "hv-*: this host's KVM has no Hyper-V interface for guests; leave them out");
  }
  for (const Row& row : kRows) {
    if (!options.Has(row.info.which)) {
      continue;
    }
    for (const EnlightenmentInfo& needed : kInfos) {
      if ((row.needs & Mask(needed.which)) != 0 && !options.Has(needed.which)) {
        return Fail(Errc::kInvalidArgument, "{} needs {}", row.info.name, NameOf(needed.which));
      }
    }
    if (!Covers(supported, row)) {
      return Fail(Errc::kUnsupported, "{}: this host's KVM does not have it", row.info.name);
    }
  }
  return {};
}

std::vector<kvm_cpuid_entry2> HyperVCpuid(const HyperVOptions& options,
                                          std::span<const kvm_cpuid_entry2> supported) {
  if (!options.shown()) {
    return {};
  }
  std::array<char, 12> text{};
  std::copy_n(options.vendor_id.begin(), std::min(text.size(), options.vendor_id.size()), text.begin());
  std::array<uint32_t, 3> vendor{};
  std::memcpy(vendor.data(), text.data(), sizeof(text));
  uint32_t eax = kHypercalls;
  uint32_t edx = kDynamicPartitioning;
  uint32_t recommendations = NoCoreSharing(options, supported);
  for (const Row& row : kRows) {
    if (options.Has(row.info.which)) {
      eax |= row.features_eax;
      edx |= row.features_edx;
      recommendations |= row.recommendations;
    }
  }
  if (options.Has(kAvic)) {
    recommendations &= ~kApicAccess;  // the hardware's APIC is the faster one
  }
  constexpr uint32_t kAnyNumber = 0xffffffff, kLogicalProcessors = 64;
  return {
      Entry(kVendorLeaf, kLimitsLeaf, vendor[0], vendor[1], vendor[2]),
      Entry(kInterfaceLeaf, kInterface, 0, 0, 0),
      Entry(kVersionLeaf, options.version_build, options.version_major << 16 | options.version_minor,
            options.version_service_pack,
            options.version_service_branch << 24 | (options.version_service_number & 0xffffff)),
      Entry(kFeaturesLeaf, eax, options.Has(kSynic) ? kMessages | kEvents : 0U, 0, edx),
      Entry(kRecommendationsLeaf, recommendations, options.spinlocks.value_or(kNoSpinlockAttempts), 0, 0),
      Entry(kLimitsLeaf, kAnyNumber, kLogicalProcessors, 0, 0),
  };
}

}  // namespace nandu
