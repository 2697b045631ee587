// Texts for people that only the machine's rooms can give: -cpu help.
#pragma once

#include <string>

namespace nandu {
std::string CpuHelpText();
}
