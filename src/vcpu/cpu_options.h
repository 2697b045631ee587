// -cpu MODEL[,property...]: the words as they were written, checked against what is known. No host is needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vcpu/cpu_features.h"
#include "vcpu/hyperv.h"

namespace nandu {

struct CpuOptions {
  bool check = true;     // warn of features the host lacks
  bool enforce = false;  // fail instead
  bool kvm = true;       // show KVM's signature and features
  bool l3_cache = true;
  bool cpuid_0xb = true;          // extended topology leaf
  bool vmware_cpuid_freq = true;  // frequencies in leaf 0x40000010, with an invariant TSC
  bool full_cpuid_auto_level = true;
  bool kvm_pv_enforce_cpuid = false;    // KVM refuses its own features where CPUID does not show them
  std::optional<bool> migratable;       // host, max: only what may travel; unset: on
  std::optional<bool> host_cache_info;  // host, max: caches as the host has them; unset: off
  std::optional<bool> legacy_cache;     // caches as QEMU's models have; unset: unless the model has its own
  std::optional<bool> pmu;              // unset: on for host and max
  std::optional<bool> host_phys_bits;
  std::optional<uint32_t> host_phys_bits_limit;
  std::optional<uint32_t> phys_bits;
  std::optional<std::string> vendor;
  std::optional<std::string> model_id;
  std::optional<uint32_t> family;
  std::optional<uint32_t> model;
  std::optional<uint32_t> stepping;
  std::optional<uint32_t> level;
  std::optional<uint32_t> xlevel;
  std::optional<uint32_t> xlevel2;
  std::optional<uint32_t> level_func7;
  std::optional<uint32_t> min_level;
  std::optional<uint32_t> min_xlevel;
  std::optional<uint32_t> min_xlevel2;
  std::optional<uint64_t> tsc_frequency_hz;
  std::optional<uint64_t> ucode_rev;
  HyperVOptions hyperv;
};

struct CpuRequest {
  std::string model = "qemu64";
  CpuOptions options;
  FeatureSet on;  // asked for; `off` wins where both say something
  FeatureSet off;
};

// "host,-avx2,pmu=off". An unknown word is an error that names the nearest known one.
Result<CpuRequest> ParseCpu(std::string_view text);

// Every property that is no feature, for help and completion.
std::vector<std::string_view> CpuPropertyNames();

}  // namespace nandu
