// nandu's version, and the version of QEMU it stands in for.
#pragma once

#include <string_view>

namespace nandu {

inline constexpr std::string_view kNanduVersion = "0.1.0";

// What query-version answers: managers choose features by QEMU's number.
struct EmulatedQemu {
  static constexpr int kMajor = 7;
  static constexpr int kMinor = 2;
  static constexpr int kMicro = 0;
};

}  // namespace nandu
