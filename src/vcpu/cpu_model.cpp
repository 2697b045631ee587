#include "vcpu/cpu_model.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/format.h"
#include "base/nearest.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

using enum FeatureWord;

constexpr uint32_t Bit(unsigned bit) { return uint32_t{1} << bit; }

constexpr unsigned kEcxVmx = 5, kEcxPdcm = 15, kEcxXsave = 26, kEcxHypervisor = 31;
constexpr unsigned kEdxMce = 7, kEdxMca = 14;
constexpr unsigned k7EdxArchLbr = 19, k7EdxArchCapabilities = 29, k7EdxCoreCapability = 30;
constexpr unsigned k7EbxSgx = 2, k7EbxIntelPt = 25;
constexpr unsigned kExtEcxSvm = 2;

constexpr uint32_t kPcPhysBits = 40;  // of models that are not the host's, as QEMU's PCs

// A model that is described, not read off the host.
struct NamedModel {
  std::string_view name;
  std::string_view model_id;
  unsigned family;
  unsigned model;
  unsigned stepping;
  uint32_t level;
  uint32_t xlevel;
  std::array<std::pair<FeatureWord, uint32_t>, 4> features;
};
constexpr NamedModel kNamedModels[] = {
    {"qemu64",
     "QEMU Virtual CPU version 2.5+",
     15,
     107,
     1,
     0xd,
     0x8000000a,
     {{{k1Edx, 0x078bfbfd}, {k1Ecx, 0x00002001}, {k80000001Edx, 0x20100800}, {k80000001Ecx, 0x00000001}}}},
};
// What KVM adds to described models: kvmclock twice, no I/O delay, async page faults, steal time, PV EOI,
// stable clock; x2APIC.
constexpr uint32_t kKvmDefaults = 0x0100007b;
constexpr unsigned kEcxX2apic = 21;

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

// Words that mean nothing without the feature they belong to.
void DropDependents(CpuModel* model) {
  FeatureSet& f = model->features;
  if (!model->options.kvm) {
    f[kKvm] = 0;
    f[kKvmHints] = 0;
  }
  if (!model->options.pmu.value_or(false)) {
    f[k1Ecx] &= ~uint64_t{Bit(kEcxPdcm)};
    f[k7Edx] &= ~uint64_t{Bit(k7EdxArchLbr)};
  }
  const struct {
    FeatureWord word;
    unsigned bit;
    std::vector<FeatureWord> dependents;
  } rules[] = {
      {k1Ecx, kEcxXsave, {kXsave}},
      {k1Ecx, kEcxPdcm, {kPerfCapabilities}},
      {k1Ecx,
       kEcxVmx,
       {kVmxProcbased, kVmxSecondary, kVmxPinbased, kVmxExit, kVmxEntry, kVmxMisc, kVmxEptVpid, kVmxBasic,
        kVmxVmfunc}},
      {k80000001Ecx, kExtEcxSvm, {kSvm}},
      {k7Edx, k7EdxArchCapabilities, {kArchCapabilities}},
      {k7Edx, k7EdxCoreCapability, {kCoreCapability}},
      {k7Ebx, k7EbxIntelPt, {k14Ecx}},
      {k7Ebx, k7EbxSgx, {kSgxEax, kSgxEbx, kSgxAttributes}},
  };
  for (const auto& rule : rules) {
    if (!f.Has(rule.word, rule.bit)) {
      for (const FeatureWord word : rule.dependents) {
        f[word] = 0;
      }
    }
  }
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

// Keeps what the host has; tells of the rest.
Result<> FilterFeatures(CpuModel* model, const FeatureSet& supported) {
  bool complete = true;
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    uint64_t missing = model->features[word] & ~supported[word];
    model->features[word] &= supported[word];
    for (; missing != 0; missing &= missing - 1) {
      complete = false;
      const auto bit = static_cast<unsigned>(std::countr_zero(missing));
      if (model->options.check || model->options.enforce) {
        model->warnings.push_back(
            Format("host doesn't support requested feature: {}", FeatureText(word, bit)));
      }
    }
  }
  if (model->options.enforce && !complete) {
    return Fail(Errc::kUnsupported, "CPU model '{}' with enforce=on: {}", model->name,
                model->warnings.front());
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
}

void ApplyLevels(CpuModel* model) {
  const CpuOptions& options = model->options;
  model->level = std::max(model->level, options.min_level.value_or(0));
  model->xlevel = std::max(model->xlevel, options.min_xlevel.value_or(0));
  if (options.full_cpuid_auto_level) {
    RaiseLevels(model);
  }
  model->level = options.level.value_or(model->level);
  model->xlevel = options.xlevel.value_or(model->xlevel);
  model->xlevel2 = options.xlevel2.value_or(model->xlevel2);
  model->level_func7 = options.level_func7.value_or(model->level_func7);
}

void ApplyPhysBits(CpuModel* model, const HostCpu& host, bool of_host) {
  const CpuOptions& options = model->options;
  if (options.host_phys_bits.value_or(of_host)) {
    model->phys_bits = host.phys_bits;
    if (const uint32_t limit = options.host_phys_bits_limit.value_or(0); limit != 0) {
      model->phys_bits = std::min(model->phys_bits, limit);
    }
  } else {
    const uint32_t asked = options.phys_bits.value_or(0);
    model->phys_bits = asked != 0 ? asked : kPcPhysBits;
  }
}

// Feature MSRs the model says something of; VMX's only where a setting was taken away.
void CollectMsrs(CpuModel* model, const HostCpu& host, const CpuRequest& request, bool of_host) {
  const auto knows = [&](uint32_t index) { return host.feature_msrs.contains(index); };
  const auto add = [&](uint32_t index, uint64_t value) {
    if (knows(index)) {
      model->msrs.push_back({index, value});
    }
  };
  if (model->features.Has(k7Edx, k7EdxArchCapabilities)) {
    add(msr::kArchCapabilities, model->features[kArchCapabilities]);
  }
  if (model->features.Has(k7Edx, k7EdxCoreCapability)) {
    add(msr::kCoreCapability, model->features[kCoreCapability]);
  }
  if (model->features.Has(k1Ecx, kEcxPdcm)) {
    add(msr::kPerfCapabilities, model->features[kPerfCapabilities]);
  }
  constexpr uint64_t kIntelRevision = 0x100000000;
  constexpr uint64_t kAmdRevision = 0x01000065;
  uint64_t revision = model->is_amd() ? kAmdRevision : kIntelRevision;
  if (of_host && knows(msr::kMicrocodeRevision)) {
    revision = host.feature_msrs.at(msr::kMicrocodeRevision);
  }
  add(msr::kMicrocodeRevision, model->options.ucode_rev.value_or(revision));
  if (!model->features.Has(k1Ecx, kEcxVmx)) {
    return;
  }
  for (const FeatureWord word : {kVmxProcbased, kVmxSecondary, kVmxPinbased, kVmxExit, kVmxEntry, kVmxMisc,
                                 kVmxEptVpid, kVmxBasic, kVmxVmfunc}) {
    const FeatureWordInfo& info = InfoOf(word);
    if (request.off[word] != 0 && knows(info.msr)) {
      const uint64_t off = info.upper_half ? request.off[word] << 32 : request.off[word];
      add(info.msr, host.feature_msrs.at(info.msr) & ~off);
    }
  }
}

}  // namespace

Result<CpuModel> ResolveCpuModel(const CpuRequest& request, const HostCpu& host) {
  CpuModel model;
  model.name = request.model;
  model.options = request.options;
  model.vendor = host.vendor;  // KVM cannot make another maker's processor; vendor= may say otherwise
  const FeatureSet supported = SupportedFeatures(host);
  const bool of_host = request.model == "host" || request.model == "max";
  unsigned family = host.family, number = host.model, stepping = host.stepping;
  if (of_host) {
    model.model_id = host.model_id;
    model.features = HostFeatures(supported, request.options.migratable);
    const kvm_cpuid_entry2* basic = FindCpuid(host.supported, 0);
    const kvm_cpuid_entry2* extended = FindCpuid(host.supported, 0x80000000);
    model.level = basic != nullptr ? basic->eax : 0;
    model.xlevel = extended != nullptr ? extended->eax : 0x80000000;
    model.options.pmu = request.options.pmu.value_or(true);
  } else {
    const auto named = std::find_if(std::begin(kNamedModels), std::end(kNamedModels),
                                    [&](const NamedModel& known) { return known.name == request.model; });
    if (named == std::end(kNamedModels)) {
      const std::string_view known[] = {"host", "max", "qemu64"};
      return Fail(Errc::kNotFound,
                  "no CPU model '{}'{}; nandu has host, max and qemu64, each with +FEATURE and -FEATURE",
                  request.model, DidYouMean(request.model, known));
    }
    model.model_id = named->model_id;
    family = named->family;
    number = named->model;
    stepping = named->stepping;
    model.level = named->level;
    model.xlevel = named->xlevel;
    for (const auto& [word, bits] : named->features) {
      model.features[word] = bits;
    }
    // Defaults, not demands: a KVM without one of them is no reason for a warning.
    model.features[k1Ecx] |= supported[k1Ecx] & Bit(kEcxX2apic);
    model.features[kKvm] |= supported[kKvm] & kKvmDefaults;
  }
  model.features[k1Ecx] |= Bit(kEcxHypervisor);
  model.vendor = request.options.vendor.value_or(model.vendor);
  model.model_id = request.options.model_id.value_or(model.model_id);
  model.version =
      EncodeVersion(request.options.family.value_or(family), request.options.model.value_or(number),
                    request.options.stepping.value_or(stepping));
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    model.features[word] = (model.features[word] | request.on[word]) & ~request.off[word];
  }
  DropDependents(&model);
  WarnOfLost(&model, request);
  TRY(FilterFeatures(&model, supported));
  DropDependents(&model);
  if (model.is_amd()) {
    model.features[k80000001Edx] &= ~uint64_t{kAmdAliases};
    model.features[k80000001Edx] |= model.features[k1Edx] & kAmdAliases;
  }
  ApplyLevels(&model);
  ApplyPhysBits(&model, host, of_host);
  CollectMsrs(&model, host, request, of_host);
  if (request.options.tsc_frequency_hz) {
    model.tsc_khz = static_cast<uint32_t>(*request.options.tsc_frequency_hz / 1000);
  }
  constexpr uint64_t kMcgCap = 1U << 8 | 1U << 24 | 10;  // MCG_CTL, software recovery, ten banks
  constexpr uint64_t kMcgBanks = 0xff;
  if (host.mcg_cap && model.features.Has(k1Edx, kEdxMce) && model.features.Has(k1Edx, kEdxMca)) {
    model.mcg_cap = kMcgCap & (*host.mcg_cap | kMcgBanks);
  }
  return model;
}

std::string CpuHelp() {
  std::string text = "Available CPUs:\n";
  text += Format("x86 {:<20}  {}\n", "qemu64", kNamedModels[0].model_id);
  text += Format("x86 {:<20}  {}\n", "host", "processor with all supported host features");
  text += Format("x86 {:<20}  {}\n", "max",
                 "Enables all features supported by the accelerator in the current host");
  text += "\nRecognized CPUID flags:\n";
  std::string line = " ";
  std::string_view last;
  constexpr size_t kWidth = 75;
  for (const Feature& feature : AllFeatures()) {
    if (feature.name == last) {
      continue;
    }
    last = feature.name;
    if (line.size() + 1 + feature.name.size() > kWidth) {
      text += line + "\n";
      line = " ";
    }
    line += Format(" {}", feature.name);
  }
  text += line + "\n\nOther properties:\n ";
  for (const std::string_view name : CpuPropertyNames()) {
    text += Format(" {}", name);
  }
  return text + "\n";
}

}  // namespace nandu
