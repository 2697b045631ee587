// Texts for people that only the machine's rooms can give: -cpu help, -object help.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace nandu {
std::string CpuHelpText();
std::string ObjectHelpText();                                      // -object help
Result<std::string> ObjectOptionsHelpText(std::string_view type);  // -object TYPE,help
}  // namespace nandu
