// A guest-physical address. Never mixes with a host address or a file offset.
#pragma once

#include <compare>
#include <cstdint>

namespace nandu {

struct Gpa {
  uint64_t v = 0;
  auto operator<=>(const Gpa&) const = default;
};

enum class Access : uint8_t { kRead, kWrite };  // seen from the device: kRead reads guest memory

}  // namespace nandu
