#include "vcpu/cpu_model.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/format.h"
#include "base/nearest.h"
#include "vcpu/cpu_feature_rules.h"
#include "vcpu/cpu_model_table.h"
#include "vcpu/feature_msrs.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

using enum FeatureWord;

constexpr uint32_t Bit(unsigned bit) { return uint32_t{1} << bit; }

constexpr unsigned kEcxPdcm = 15, kEcxHypervisor = 31;
constexpr unsigned kEdxMce = 7, kEdxMca = 14;
constexpr unsigned k7EdxArchLbr = 19;
constexpr unsigned k7EbxSgx = 2, k7EbxIntelPt = 25;
constexpr unsigned kExtEcxSvm = 2;

constexpr uint32_t kPcPhysBits = 40;  // of models that are not the host's, as QEMU's PCs
constexpr uint32_t kPse36PhysBits = 36, kOldPhysBits = 32;

// KVM's features that described models have by default: kvmclock twice, no I/O delay, async page faults,
// steal time, PV EOI, stable clock. And those only who asks for them gets: KVM's guests have no use for ACPI
// thermal control and MONITOR, and few are hypervisors.
constexpr uint32_t kKvmDefaults = 0x0100007b;
constexpr unsigned kKvmExtendedDestinations = 15;  // with a split irqchip
constexpr unsigned kEcxMonitor = 3, kEcxX2apic = 21, kEdxPse36 = 17, kEdxAcpi = 22;
constexpr unsigned kExtEdxLongMode = 29, k80000007InvariantTsc = 8;

uint32_t EncodeVersion(unsigned family, unsigned model, unsigned stepping) {
  const uint32_t base = family > 0xf ? 0xf : family;
  const uint32_t extended = family > 0xf ? family - 0xf : 0;
  return extended << 20 | (model >> 4 & 0xf) << 16 | base << 8 | (model & 0xf) << 4 | stepping;
}

bool AutoEnabled(FeatureWord word, unsigned bit) {
  // Said of a guest's placement or the vCPU's topology, not of what the host can do.
  return word != kKvmHints && !(word == k80000001Ecx && bit == 22) && !(word == k14Ecx && bit == 31);
}

FeatureSet HostFeatures(const FeatureSet& supported, bool migratable) {
  FeatureSet features = supported;
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    if (migratable) {
      features[word] &= MigratableBits(word);
    }
    for (unsigned bit = 0; bit < 64; ++bit) {
      if (!AutoEnabled(word, bit)) {
        features[word] &= ~(uint64_t{1} << bit);
      }
    }
  }
  return features;
}

// What its switches and other features take away.
void Reduce(CpuModel* model) {
  FeatureSet& f = model->features;
  if (!model->options.kvm) {
    f[kKvm] = 0;
    f[kKvmHints] = 0;
  }
  if (!model->options.pmu.value_or(false)) {
    f[k1Ecx] &= ~uint64_t{Bit(kEcxPdcm)};
    f[k7Edx] &= ~uint64_t{Bit(k7EdxArchLbr)};
  }
  DropDependents(&f);
}

// Asked for, and dropped with the feature it belongs to.
void WarnOfLost(CpuModel* model, const CpuRequest& request) {
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    for (uint64_t lost = request.on[word] & ~model->features[word]; lost != 0; lost &= lost - 1) {
      model->warnings.push_back(Format("requested feature {} needs another one that is off",
                                       FeatureText(word, static_cast<unsigned>(std::countr_zero(lost)))));
    }
  }
}

// Keeps what the host has; tells of the rest in one line.
Result<> FilterFeatures(CpuModel* model, const FeatureSet& supported, uint64_t supported_components) {
  std::string lost;
  const uint64_t components = StateComponents(model->features);
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    for (uint64_t missing = model->features[word] & ~supported[word]; missing != 0; missing &= missing - 1) {
      lost += Format("{}{}", lost.empty() ? "" : ", ",
                     FeatureText(word, static_cast<unsigned>(std::countr_zero(missing))));
    }
    model->features[word] &= supported[word];
  }
  for (uint64_t missing = components & ~supported_components; missing != 0; missing &= missing - 1) {
    const auto bit = static_cast<unsigned>(std::countr_zero(missing));
    lost += Format("{}CPUID.0DH:{} [bit {}]", lost.empty() ? "" : ", ", bit < 32 ? "EAX" : "EDX", bit % 32);
  }
  if (lost.empty()) {
    return {};
  }
  const std::string warning = "host doesn't support requested feature: " + lost;
  if (model->options.enforce) {
    return Fail(Errc::kUnsupported, "CPU model '{}' with enforce=on: {}", model->name, warning);
  }
  if (model->options.check) {
    model->warnings.push_back(warning);
  }
  return {};
}

void RaiseLevels(CpuModel* model) {
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const FeatureWordInfo& info = InfoOf(static_cast<FeatureWord>(i));
    if (info.msr != 0 || model->features[info.word] == 0) {
      continue;
    }
    switch (info.function >> 28) {
      case 0x0: model->level = std::max(model->level, info.function); break;
      case 0x8: model->xlevel = std::max(model->xlevel, info.function); break;
      case 0xc: model->xlevel2 = std::max(model->xlevel2, info.function); break;
      default: break;  // the hypervisor's own range
    }
    if (info.function == 7) {
      model->level_func7 = std::max(model->level_func7, info.index);
    }
  }
  // These have leaves of their own, whatever stands in them.
  constexpr uint32_t kTraceLeaf = 0x14, kSgxLeaf = 0x12, kSvmLeaf = 0x8000000a;
  if (model->features.Has(k7Ebx, k7EbxIntelPt)) {
    model->level = std::max(model->level, kTraceLeaf);
  }
  if (model->features.Has(k7Ebx, k7EbxSgx)) {
    model->level = std::max(model->level, kSgxLeaf);
  }
  if (model->features.Has(k80000001Ecx, kExtEcxSvm)) {
    model->xlevel = std::max(model->xlevel, kSvmLeaf);
  }
}

void ApplyLevels(CpuModel* model) {
  const CpuOptions& options = model->options;
  model->level = std::max(model->level, options.min_level.value_or(0));
  model->xlevel = std::max(model->xlevel, options.min_xlevel.value_or(0));
  model->xlevel2 = std::max(model->xlevel2, options.min_xlevel2.value_or(0));
  if (options.full_cpuid_auto_level) {
    RaiseLevels(model);
  }
  model->level = options.level.value_or(model->level);
  model->xlevel = options.xlevel.value_or(model->xlevel);
  model->xlevel2 = options.xlevel2.value_or(model->xlevel2);
  model->level_func7 = options.level_func7.value_or(model->level_func7);
}

Result<> ApplyPhysBits(CpuModel* model, const HostCpu& host, bool of_host) {
  const CpuOptions& options = model->options;
  if (!model->features.Has(k80000001Edx, kExtEdxLongMode)) {
    if (options.phys_bits.value_or(0) != 0) {
      return Fail(Errc::kInvalidArgument, "'phys-bits={}': a CPU without lm has 32, or 36 with pse36",
                  *options.phys_bits);
    }
    model->phys_bits = model->features.Has(k1Edx, kEdxPse36) ? kPse36PhysBits : kOldPhysBits;
  } else if (options.host_phys_bits.value_or(of_host)) {
    model->phys_bits = host.phys_bits;
    if (const uint32_t limit = options.host_phys_bits_limit.value_or(0); limit != 0) {
      model->phys_bits = std::min(model->phys_bits, limit);
    }
  } else {
    const uint32_t asked = options.phys_bits.value_or(0);
    model->phys_bits = asked != 0 ? asked : kPcPhysBits;
  }
  return {};
}

void CollectMsrs(CpuModel* model, const HostCpu& host, bool of_host) {
  model->msrs = FeatureMsrs(model->features, host);
  const auto own = host.feature_msrs.find(msr::kMicrocodeRevision);
  if (own != host.feature_msrs.end()) {
    constexpr uint64_t kIntelRevision = 0x100000000;
    constexpr uint64_t kAmdRevision = 0x01000065;
    const uint64_t revision = of_host ? own->second : model->is_amd() ? kAmdRevision : kIntelRevision;
    model->msrs.push_back({msr::kMicrocodeRevision, model->options.ucode_rev.value_or(revision)});
  }
  // Whatever KVM thinks of branch traces; MWAIT where the guest has it.
  constexpr uint64_t kFastStrings = 1, kMwait = 1U << 18;
  model->msrs.push_back(
      {msr::kMiscEnable, kFastStrings | (model->features.Has(k1Ecx, kEcxMonitor) ? kMwait : 0)});
  constexpr uint64_t kMcgCap = 1U << 8 | 1U << 24 | 10;  // MCG_CTL, software recovery, ten banks
  constexpr uint64_t kMcgBanks = 0xff;
  if (host.mcg_cap && model->features.Has(k1Edx, kEdxMce) && model->features.Has(k1Edx, kEdxMca)) {
    model->mcg_cap = kMcgCap & (*host.mcg_cap | kMcgBanks);
  }
}

struct Signature {
  unsigned family = 0;
  unsigned model = 0;
  unsigned stepping = 0;
};

Signature DescribeHost(CpuModel* model, const HostCpu& host, const FeatureSet& supported) {
  CpuOptions& options = model->options;
  model->vendor = host.vendor;
  model->model_id = host.model_id;
  model->features = HostFeatures(supported, options.migratable.value_or(true));
  model->features[k1Ecx] |= Bit(kEcxHypervisor);
  const kvm_cpuid_entry2* basic = FindCpuid(host.supported, 0);
  const kvm_cpuid_entry2* extended = FindCpuid(host.supported, 0x80000000);
  model->level = basic != nullptr ? basic->eax : 0;
  model->xlevel = extended != nullptr ? extended->eax : 0x80000000;
  options.pmu = options.pmu.value_or(true);
  return {host.family, host.model, host.stepping};
}

Signature DescribeNamed(CpuModel* model, const NamedModel& named, const HostCpu& host,
                        const FeatureSet& supported) {
  model->vendor = host.vendor;  // KVM cannot make another maker's processor; vendor= may say otherwise
  model->model_id = named.model_id;
  model->level = named.level;
  model->xlevel = named.xlevel;
  model->caches = &named.caches;
  FeatureSet& f = model->features;
  f = FeaturesOf(named);
  f[k1Edx] &= ~uint64_t{Bit(kEdxAcpi)};
  f[k1Ecx] &= ~uint64_t{Bit(kEcxMonitor)};
  f[k80000001Ecx] &= ~uint64_t{Bit(kExtEcxSvm)};
  // Defaults, not demands: a KVM without one of them is no reason for a warning.
  f[k1Ecx] |= Bit(kEcxHypervisor) | (supported[k1Ecx] & Bit(kEcxX2apic));
  f[kKvm] |= supported[kKvm] & (kKvmDefaults | Bit(kKvmExtendedDestinations));
  return {named.family, named.model, named.stepping};
}

tl::unexpected<Error> UnknownModel(std::string_view name) {
  std::vector<std::string_view> known = {"host", "max", "base"};
  for (const NamedModel& model : NamedModels()) {
    for (const std::string_view one : {model.name, model.alias, UnversionedName(model)}) {
      if (!one.empty()) {
        known.push_back(one);
      }
    }
  }
  return Fail(Errc::kNotFound, "no CPU model '{}'{}; -cpu help lists them", name, DidYouMean(name, known));
}

Result<Signature> Describe(CpuModel* model, const HostCpu& host, const FeatureSet& supported, bool of_host) {
  if (of_host) {
    return DescribeHost(model, host, supported);
  }
  for (const auto& [name, given] :
       {std::pair("migratable", model->options.migratable.has_value()),
        std::pair("host-cache-info", model->options.host_cache_info.has_value())}) {
    if (given) {
      return Fail(Errc::kInvalidArgument, "'{}' is a property of the models host and max only", name);
    }
  }
  if (model->name == "base") {
    model->xlevel = 0;
    return Signature{};
  }
  const NamedModel* named = FindNamedModel(model->name);
  if (named == nullptr) {
    return UnknownModel(model->name);
  }
  return DescribeNamed(model, *named, host, supported);
}

Result<> ApplyCaches(CpuModel* model) {
  if (model->options.legacy_cache.value_or(false)) {
    model->caches = &kCommonCaches;
  } else if (model->options.legacy_cache && model->caches == &kCommonCaches) {
    return Fail(Errc::kInvalidArgument, "CPU model '{}' doesn't support legacy-cache=off", model->name);
  }
  return {};
}

}  // namespace

Result<CpuModel> ResolveCpuModel(const CpuRequest& request, const HostCpu& host) {
  CpuModel model;
  model.name = request.model;
  model.options = request.options;
  const CpuOptions& options = model.options;
  const FeatureSet supported = SupportedFeatures(host);
  const bool of_host = request.model == "host" || request.model == "max";
  const Signature signature = TRY(Describe(&model, host, supported, of_host));
  model.vendor = options.vendor.value_or(model.vendor);
  model.model_id = options.model_id.value_or(model.model_id);
  model.version =
      EncodeVersion(options.family.value_or(signature.family), options.model.value_or(signature.model),
                    options.stepping.value_or(signature.stepping));
  TRY(ApplyCaches(&model));
  TRY(CheckHyperV(options.hyperv, host.hyperv));
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    model.features[word] = (model.features[word] | request.on[word]) & ~request.off[word];
  }
  Reduce(&model);
  WarnOfLost(&model, request);
  ApplyLevels(&model);  // those of the model: the same on a host that lacks some of it
  TRY(FilterFeatures(&model, supported, SupportedComponents(host)));
  Reduce(&model);
  if (model.is_amd()) {
    model.features[k80000001Edx] &= ~uint64_t{kAmdAliases};
    model.features[k80000001Edx] |= model.features[k1Edx] & kAmdAliases;
  }
  TRY(ApplyPhysBits(&model, host, of_host));
  CollectMsrs(&model, host, of_host);
  if (options.tsc_frequency_hz) {
    model.tsc_khz = static_cast<uint32_t>(*options.tsc_frequency_hz / 1000);
  } else if (model.features.Has(k80000007Edx, k80000007InvariantTsc)) {
    // With a frequency of its own the guest may go to any host that can scale to it.
    model.migration_blocker =
        "the guest's TSC is invariant (invtsc=on) and ticks as this host's; give tsc-frequency";
  }
  return model;
}

}  // namespace nandu
