// The arguments of qmp_capabilities, the one command a session answers itself. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/described.h"

namespace nandu {

inline constexpr std::string_view kCapabilitiesCommand = "qmp_capabilities";

enum class QmpCapability : uint8_t { kOob };
BOOST_DESCRIBE_ENUM(QmpCapability, kOob)

struct CapabilitiesArgs {
  std::optional<std::vector<QmpCapability>> enable;
};
BOOST_DESCRIBE_STRUCT(CapabilitiesArgs, (), (enable))

}  // namespace nandu
