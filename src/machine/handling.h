// What nandu does with a word of QEMU's command line: an option, a device.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace nandu {

enum class Handling : uint8_t {
  kWorks,
  kPlanned,  // refused today; its text says what it waits for
  kRefused,  // refused for good; its text says why and what to do instead
};

constexpr std::string_view HandlingName(Handling handling) {
  switch (handling) {
    case Handling::kWorks: return "works";
    case Handling::kPlanned: return "planned";
    case Handling::kRefused: return "refused";
  }
  return {};
}

// "option '-spice' is not served yet: it waits for ..." where it is not served; `what` is "option '-spice'".
inline Result<> CheckServed(std::string_view what, Handling handling, std::string_view text) {
  if (handling == Handling::kWorks) {
    return {};
  }
  return Fail(Errc::kUnsupported, "{} is {}: {}", what,
              handling == Handling::kPlanned ? "not served yet" : "refused", text);
}

}  // namespace nandu
