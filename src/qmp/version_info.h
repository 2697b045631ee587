// What query-version and the greeting say. Plain data.
#pragma once

#include <cstdint>
#include <string>

#include "base/described.h"
#include "machine/facets.h"

namespace nandu {

struct VersionTriple {
  int64_t micro = 0;
  int64_t minor = 0;
  int64_t major = 0;
};
BOOST_DESCRIBE_STRUCT(VersionTriple, (), (micro, minor, major))

struct VersionInfo {
  VersionTriple qemu;
  std::string package;
};
BOOST_DESCRIBE_STRUCT(VersionInfo, (), (qemu, package))

inline VersionInfo VersionInfoOf(const VersionFacts& facts) {
  return {{facts.micro, facts.minor, facts.major}, facts.package};
}

}  // namespace nandu
