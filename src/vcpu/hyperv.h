// The Hyper-V interface that KVM has for guests that know Hyper-V (hv-* of -cpu): which enlightenments there
// are, what each needs, and the CPUID leaves that tell of them. Setup only; plain data. Specification:
// Microsoft, Hypervisor Top-Level Functional Specification 6.0b, 2.4 (CPUID leaves); Linux
// Documentation/virt/kvm/api.rst, KVM_GET_SUPPORTED_HV_CPUID.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kvm/kvm_abi.h"

namespace nandu {

enum class Enlightenment : uint8_t {
  kRelaxed,
  kVapic,
  kTime,
  kVpIndex,
  kRuntime,
  kReset,
  kCrash,
  kSynic,
  kStimer,
  kStimerDirect,
  kFrequencies,
  kReenlightenment,
  kTlbFlush,
  kTlbFlushExt,
  kIpi,
  kAvic,
  kXmmInput,
  kCount,
};

struct HyperVOptions {
  uint32_t enlightenments = 0;        // a bit each
  std::optional<uint32_t> spinlocks;  // attempts before a guest tells of a lock that is held long
  bool enforce_cpuid = false;         // KVM refuses what CPUID does not show
  // Whether it says that processors which share a core are those of the topology; auto: as KVM does.
  enum class Answer : uint8_t { kOff, kOn, kAuto };
  Answer no_nonarch_coresharing = Answer::kOff;
  std::string vendor_id = "Microsoft Hv";
  // Of the hypervisor it claims to be.
  uint32_t version_build = 14393;
  uint32_t version_major = 10;
  uint32_t version_minor = 0;
  uint32_t version_service_pack = 0;
  uint32_t version_service_branch = 0;
  uint32_t version_service_number = 0;

  bool Has(Enlightenment which) const { return (enlightenments >> static_cast<unsigned>(which) & 1) != 0; }
  void Set(Enlightenment which, bool on);
  // Whether a guest sees Hyper-V's interface at all. KVM's own leaves make room for it then.
  bool shown() const { return enlightenments != 0 || spinlocks.has_value(); }
};

struct EnlightenmentInfo {
  std::string_view name;  // "hv-relaxed"
  Enlightenment which;
};
std::span<const EnlightenmentInfo> Enlightenments();

// Fails on one that needs another, and on one that this KVM does not have. `supported`: KVM's answer.
Result<> CheckHyperV(const HyperVOptions& options, std::span<const kvm_cpuid_entry2> supported);

// Leaves 0x40000000 to 0x40000005; none where nothing is shown.
std::vector<kvm_cpuid_entry2> HyperVCpuid(const HyperVOptions& options,
                                          std::span<const kvm_cpuid_entry2> supported);

}  // namespace nandu
