#include "vcpu/hyperv_options.h"

#include "base/number_text.h"

namespace nandu {
namespace {

struct Number {
  std::string_view name;
  uint32_t HyperVOptions::*member;
  uint32_t max;
};
constexpr Number kNumbers[] = {
    {"hv-version-id-build", &HyperVOptions::version_build, 0xffffffff},
    {"hv-version-id-major", &HyperVOptions::version_major, 0xffff},
    {"hv-version-id-minor", &HyperVOptions::version_minor, 0xffff},
    {"hv-version-id-sbranch", &HyperVOptions::version_service_branch, 0xff},
    {"hv-version-id-snumber", &HyperVOptions::version_service_number, 0xffffff},
    {"hv-version-id-spack", &HyperVOptions::version_service_pack, 0xffffffff},
};

// Off is what nandu does; nothing else is served.
struct Refused {
  std::string_view name;
  std::string_view why;
};
constexpr Refused kRefused[] = {
    {"hv-emsr-bitmap", "nandu gives guests of guests no enlightened MSR bitmap"},
    {"hv-evmcs", "nandu gives guests of guests no enlightened VMCS"},
    {"hv-passthrough", "name the enlightenments, so that the guest is the same on every host"},
    {"hv-syndbg", "nandu has no synthetic debugger"},
    {"hv-tlbflush-direct", "nandu lets guests of guests flush no TLB directly"},
};

constexpr size_t kVendorLength = 12;

Result<bool> ReadSwitch(std::string_view name, std::string_view value) {
  const std::optional<bool> on = ParseSwitch(value);
  if (!on) {
    return Fail(Errc::kInvalidArgument, "'{}={}': it is on or off", name, value);
  }
  return *on;
}

Result<uint32_t> ReadNumber(std::string_view name, std::string_view value, uint32_t max) {
  const std::optional<uint64_t> number = ParseSize(value);
  if (!number || *number > max) {
    return Fail(Errc::kInvalidArgument, "'{}={}' is out of range: 0 to {}", name, value, max);
  }
  return static_cast<uint32_t>(*number);
}

Result<> SetCoreSharing(HyperVOptions* options, std::string_view value) {
  using Answer = HyperVOptions::Answer;
  if (value == "auto") {
    options->no_nonarch_coresharing = Answer::kAuto;
    return {};
  }
  const bool on = TRY(ReadSwitch("hv-no-nonarch-coresharing", value));
  options->no_nonarch_coresharing = on ? Answer::kOn : Answer::kOff;
  return {};
}

}  // namespace

Result<bool> SetHyperV(HyperVOptions* options, std::string_view name, std::string_view value) {
  for (const EnlightenmentInfo& known : Enlightenments()) {
    if (name == known.name || (name == "hv-apicv" && known.which == Enlightenment::kAvic)) {
      const bool on = TRY(ReadSwitch(name, value));
      options->Set(known.which, on);
      return true;
    }
  }
  for (const Number& known : kNumbers) {
    if (name == known.name) {
      options->*known.member = TRY(ReadNumber(name, value, known.max));
      return true;
    }
  }
  for (const Refused& known : kRefused) {
    if (name == known.name) {
      const bool on = TRY(ReadSwitch(name, value));
      if (on) {
        return Fail(Errc::kUnsupported, "'{}': {}", name, known.why);
      }
      return true;
    }
  }
  if (name == "hv-spinlocks") {
    constexpr uint32_t kNever = 0xffffffff;
    const uint32_t attempts = TRY(ReadNumber(name, value, kNever));
    options->spinlocks = attempts == kNever ? std::nullopt : std::optional<uint32_t>(attempts);
    return true;
  }
  if (name == "hv-vendor-id") {
    if (value.empty() || value.size() > kVendorLength) {
      return Fail(Errc::kInvalidArgument, "'hv-vendor-id={}' must be 1 to {} characters long", value,
                  kVendorLength);
    }
    options->vendor_id = value;
    return true;
  }
  if (name == "hv-enforce-cpuid") {
    options->enforce_cpuid = TRY(ReadSwitch(name, value));
    return true;
  }
  if (name == "hv-no-nonarch-coresharing") {
    TRY(SetCoreSharing(options, value));
    return true;
  }
  return false;
}

std::vector<std::string_view> HyperVPropertyNames() {
  std::vector<std::string_view> names = {"hv-enforce-cpuid", "hv-no-nonarch-coresharing", "hv-spinlocks",
                                         "hv-vendor-id"};
  for (const EnlightenmentInfo& known : Enlightenments()) {
    names.push_back(known.name);
  }
  for (const Number& known : kNumbers) {
    names.push_back(known.name);
  }
  return names;
}

}  // namespace nandu
