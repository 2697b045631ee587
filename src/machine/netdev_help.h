// What -netdev can be given, for the command line: it may not know the network room. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

const TypeInfo* NetdevOptions(std::string_view type);  // null when there is no such type
std::string NetdevHelpText();                          // -netdev help
Result<std::string> NetdevOptionsHelpText(std::string_view type);

}  // namespace nandu
