// -cpu: what was asked for, and what becomes of it on this host. Setup only; plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vcpu/cpu_caches.h"
#include "vcpu/cpu_features.h"
#include "vcpu/cpu_options.h"
#include "vcpu/host_cpu.h"
#include "vcpu/vcpu_state.h"

namespace nandu {

// A model made fit for one host: every vCPU of a VM has the same.
struct CpuModel {
  std::string name;
  std::string vendor;    // 12 characters
  std::string model_id;  // at most 48
  uint32_t version = 0;  // CPUID.1:EAX
  uint32_t level = 0;
  uint32_t xlevel = 0x80000000;
  uint32_t xlevel2 = 0;
  uint32_t level_func7 = 0;
  FeatureSet features;
  const CpuCaches* caches = &kCommonCaches;  // a table's: lives for ever
  unsigned phys_bits = 40;
  uint32_t tsc_khz = 0;        // 0: the host's
  std::vector<MsrState> msrs;  // feature registers as this model has them
  std::optional<uint64_t> mcg_cap;
  CpuOptions options;                 // as asked for, and the defaults of this model
  std::vector<std::string> warnings;  // what the host lacks, a line each
  std::string migration_blocker;      // why a guest with it cannot travel; empty: it can

  bool is_intel() const { return vendor == "GenuineIntel"; }
  bool is_amd() const { return vendor == "AuthenticAMD"; }
};

// Fails on an unknown model, on properties it does not have, and with enforce=on on what the host lacks.
Result<CpuModel> ResolveCpuModel(const CpuRequest& request, const HostCpu& host);

// The text of -cpu help.
std::string CpuHelp();

}  // namespace nandu
