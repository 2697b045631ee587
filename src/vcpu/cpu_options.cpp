#include "vcpu/cpu_options.h"

#include <algorithm>
#include <limits>

#include "base/nearest.h"
#include "base/number_text.h"
#include "vcpu/hyperv_options.h"

namespace nandu {
namespace {

struct Switch {
  std::string_view name;
  bool CpuOptions::*member;
};
constexpr Switch kSwitches[] = {
    {"check", &CpuOptions::check},       {"cpuid-0xb", &CpuOptions::cpuid_0xb},
    {"enforce", &CpuOptions::enforce},   {"full-cpuid-auto-level", &CpuOptions::full_cpuid_auto_level},
    {"kvm", &CpuOptions::kvm},           {"kvm-pv-enforce-cpuid", &CpuOptions::kvm_pv_enforce_cpuid},
    {"l3-cache", &CpuOptions::l3_cache}, {"vmware-cpuid-freq", &CpuOptions::vmware_cpuid_freq},
};

struct OptionalSwitch {
  std::string_view name;
  std::optional<bool> CpuOptions::*member;
};
constexpr OptionalSwitch kOptionalSwitches[] = {
    {"host-cache-info", &CpuOptions::host_cache_info},
    {"host-phys-bits", &CpuOptions::host_phys_bits},
    {"legacy-cache", &CpuOptions::legacy_cache},
    {"migratable", &CpuOptions::migratable},
    {"pmu", &CpuOptions::pmu},
};

// Switches of QEMU that nandu has one position of.
struct Fixed {
  std::string_view name;
  bool value;
  std::string_view why;
};
constexpr std::string_view kOldMachines = "nandu has no machine of before QEMU 7.2";
constexpr Fixed kFixed[] = {
    {"fill-mtrr-mask", true, kOldMachines},
    {"kvm-no-smi-migration", false, kOldMachines},
    {"lmce", false, "nandu delivers no local machine checks"},
    {"start-powered-off", false, "vCPUs of this board wait for their start-up interrupt instead"},
    {"tcg-cpuid", true, "it is about TCG, which nandu does not have"},
    {"x-force-features", false, "KVM takes no features it does not have"},
    {"x-hv-synic-kvm-only", false, "it would hide from guests what KVM serves them"},
    {"x-intel-pt-auto-level", true, kOldMachines},
    {"x-migrate-smi-count", true, kOldMachines},
    {"x-vendor-cpuid-only", true, kOldMachines},
};

struct Number {
  std::string_view name;
  std::optional<uint32_t> CpuOptions::*member;
  uint32_t max;
};
constexpr uint32_t kAny = std::numeric_limits<uint32_t>::max();
constexpr Number kNumbers[] = {
    {"family", &CpuOptions::family, 0xff + 0xf},
    {"host-phys-bits-limit", &CpuOptions::host_phys_bits_limit, 255},
    {"level", &CpuOptions::level, kAny},
    {"level-func7", &CpuOptions::level_func7, kAny},
    {"min-level", &CpuOptions::min_level, kAny},
    {"min-xlevel", &CpuOptions::min_xlevel, kAny},
    {"min-xlevel2", &CpuOptions::min_xlevel2, kAny},
    {"model", &CpuOptions::model, 0xff},
    {"phys-bits", &CpuOptions::phys_bits, 52},
    {"stepping", &CpuOptions::stepping, 0xf},
    {"xlevel", &CpuOptions::xlevel, kAny},
    {"xlevel2", &CpuOptions::xlevel2, kAny},
};

constexpr std::string_view kTexts[] = {"vendor", "model-id", "tsc-frequency", "ucode-rev"};

constexpr size_t kVendorLength = 12;
constexpr size_t kModelIdLength = 48;
constexpr uint32_t kMinPhysBits = 32;

// "2600000000", "2600M", "2.6G": powers of 1000.
std::optional<uint64_t> ParseHertz(std::string_view text) {
  uint64_t unit = 1;
  if (!text.empty()) {
    switch (text.back()) {
      case 'k':
      case 'K': unit = 1'000; break;
      case 'M': unit = 1'000'000; break;
      case 'G': unit = 1'000'000'000; break;
      default: break;
    }
  }
  if (unit == 1) {
    return ParseSize(text);
  }
  const std::optional<double> value = ParseDouble(text.substr(0, text.size() - 1));
  if (!value || *value < 0 || *value > 1e6) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(*value * static_cast<double>(unit) + 0.5);
}

std::string DidYouMeanWord(std::string_view word) {
  std::vector<std::string_view> known = CpuPropertyNames();
  for (const Feature& feature : AllFeatures()) {
    known.push_back(feature.name);
  }
  return DidYouMean(word, known);
}

void SetFeature(CpuRequest* request, std::span<const Feature> features, bool on) {
  for (const Feature& feature : features) {
    const uint64_t bit = uint64_t{1} << feature.bit;
    (on ? request->on : request->off)[feature.word] |= bit;
    (on ? request->off : request->on)[feature.word] &= ~bit;
  }
}

Result<> SetText(CpuOptions* options, std::string_view name, std::string_view value) {
  if (name == "vendor") {
    if (value.size() != kVendorLength) {
      return Fail(Errc::kInvalidArgument, "'vendor' must be {} characters long, as in 'AuthenticAMD'",
                  kVendorLength);
    }
    options->vendor = value;
  } else if (name == "model-id") {
    options->model_id = value.substr(0, kModelIdLength);
  } else if (name == "tsc-frequency") {
    options->tsc_frequency_hz = ParseHertz(value);
    // KVM counts kilohertz in 32 bits.
    if (!options->tsc_frequency_hz || *options->tsc_frequency_hz / 1000 > kAny) {
      return Fail(Errc::kInvalidArgument, "'tsc-frequency={}' is no frequency in hertz, as in '2.6G'", value);
    }
  } else {
    options->ucode_rev = ParseSize(value);
    if (!options->ucode_rev) {
      return Fail(Errc::kInvalidArgument, "'ucode-rev={}' is no number", value);
    }
  }
  return {};
}

// Whether there is a switch or number of that name.
Result<bool> SetSwitch(CpuOptions* options, std::string_view name, std::string_view value) {
  const auto read = [&]() -> Result<bool> {
    const std::optional<bool> on = ParseSwitch(value);
    if (!on) {
      return Fail(Errc::kInvalidArgument, "'{}={}': it is on or off", name, value);
    }
    return *on;
  };
  for (const Switch& known : kSwitches) {
    if (known.name == name) {
      options->*known.member = TRY(read());
      return true;
    }
  }
  for (const OptionalSwitch& known : kOptionalSwitches) {
    if (known.name == name) {
      options->*known.member = TRY(read());
      return true;
    }
  }
  for (const Fixed& known : kFixed) {
    if (known.name == name) {
      const bool on = TRY(read());
      if (on != known.value) {
        return Fail(Errc::kUnsupported, "'{}={}': {}", name, value, known.why);
      }
      return true;
    }
  }
  return false;
}

Result<bool> SetNumber(CpuOptions* options, std::string_view name, std::string_view value) {
  for (const Number& number : kNumbers) {
    if (number.name == name) {
      const std::optional<uint64_t> parsed = ParseSize(value);
      if (!parsed || *parsed > number.max) {
        return Fail(Errc::kInvalidArgument, "'{}={}' is out of range: 0 to {}", name, value, number.max);
      }
      options->*number.member = static_cast<uint32_t>(*parsed);
      return true;
    }
  }
  return false;
}

Result<> SetProperty(CpuRequest* request, std::string_view name, std::string_view value) {
  CpuOptions& options = request->options;
  if (std::find(std::begin(kTexts), std::end(kTexts), name) != std::end(kTexts)) {
    return SetText(&options, name, value);
  }
  bool known = TRY(SetNumber(&options, name, value));
  if (!known) {
    known = TRY(SetSwitch(&options, name, value));
  }
  if (!known) {
    known = TRY(SetHyperV(&options.hyperv, name, value));
  }
  if (known) {
    return {};
  }
  const std::vector<Feature> features = FindFeatures(name);
  if (features.empty()) {
    return Fail(Errc::kInvalidArgument, "unknown CPU property '{}'{}", name, DidYouMeanWord(name));
  }
  const std::optional<bool> on = ParseSwitch(value);
  if (!on) {
    return Fail(Errc::kInvalidArgument, "'{}={}': it is on or off", name, value);
  }
  SetFeature(request, features, *on);
  return {};
}

}  // namespace

std::vector<std::string_view> CpuPropertyNames() {
  std::vector<std::string_view> names(std::begin(kTexts), std::end(kTexts));
  for (const Switch& known : kSwitches) {
    names.push_back(known.name);
  }
  for (const OptionalSwitch& known : kOptionalSwitches) {
    names.push_back(known.name);
  }
  for (const Number& known : kNumbers) {
    names.push_back(known.name);
  }
  for (const std::string_view name : HyperVPropertyNames()) {
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<CpuRequest> ParseCpu(std::string_view text) {
  CpuRequest request;
  // As QEMU: key=value first, then every +word, then every -word, wherever they stand.
  std::vector<std::pair<std::string_view, bool>> signs;
  for (bool first = true; first || !text.empty(); first = false) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (first) {
      request.model = word;
    } else if (word.starts_with('+') || word.starts_with('-')) {
      signs.emplace_back(word.substr(1), word.front() == '+');
    } else if (!word.empty()) {
      const size_t equals = word.find('=');
      std::string name(word.substr(0, equals));
      std::replace(name.begin(), name.end(), '_', '-');
      TRY(SetProperty(&request, name, equals == std::string_view::npos ? "on" : word.substr(equals + 1)));
    }
  }
  std::stable_partition(signs.begin(), signs.end(), [](const auto& sign) { return sign.second; });
  for (const auto& [name, on] : signs) {
    const std::vector<Feature> features = FindFeatures(name);
    if (features.empty()) {
      return Fail(Errc::kInvalidArgument, "unknown CPU feature '{}'{}", name, DidYouMeanWord(name));
    }
    SetFeature(&request, features, on);
  }
  if (request.model.empty()) {
    return Fail(Errc::kInvalidArgument,
                "-cpu needs a model: host, max, qemu64 or another one that -cpu help lists");
  }
  if (request.options.phys_bits && *request.options.phys_bits != 0 &&
      *request.options.phys_bits < kMinPhysBits) {
    return Fail(Errc::kInvalidArgument, "'phys-bits={}' is out of range: {} to 52",
                *request.options.phys_bits, kMinPhysBits);
  }
  return request;
}

}  // namespace nandu
