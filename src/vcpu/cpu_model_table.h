// The CPU models that are described rather than read off the host: one row each, by name. Data; any thread.
// A row holds facts of a processor generation, as its maker documents them (Intel SDM volumes 2 and 4; AMD
// APM volume 3 and the families' Processor Programming References) and as QEMU 7.2 names and numbers them, so
// that a guest finds the processor its command line always gave it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vcpu/cpu_caches.h"
#include "vcpu/cpu_features.h"

namespace nandu {

struct NamedModel {
  std::string_view name;   // "Haswell-v2"; "Haswell" is the first version's other name
  std::string_view alias;  // "Haswell-noTSX", or empty
  unsigned family;
  unsigned model;
  unsigned stepping;
  uint32_t level;  // highest basic and extended leaf of CPUID, unless a feature stands higher
  uint32_t xlevel;
  const CpuCaches& caches;
  std::string_view model_id;  // brand string
  std::string_view note;      // what is different about a version whose brand string does not say it
  std::string_view like;      // the row, further up, whose features these are as well
  std::string_view features;  // on top: "avx2 -hle"; "-vmx-*" takes away all that begin so
};

// In the order of generations.
std::span<const NamedModel> NamedModels();
// By any of its names. Null when there is none.
const NamedModel* FindNamedModel(std::string_view name);
FeatureSet FeaturesOf(const NamedModel& model);

// "Haswell" of "Haswell-v1"; empty for other versions, and for models that have none.
std::string_view UnversionedName(const NamedModel& model);

}  // namespace nandu
