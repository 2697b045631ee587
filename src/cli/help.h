// What -help, -version, and the lists print. Text goes to stdout, as QEMU's.
#pragma once

#include <string>

namespace nandu {

std::string HelpText();  // -help: usage, examples, every option that works, grouped by what it is for
std::string VersionText();
std::string MachineHelpText();
std::string AccelHelpText();
std::string ChardevHelpText();

}  // namespace nandu
