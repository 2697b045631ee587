// The start sequence, in one place: parse, raise limits, fork for -daemonize, open and lock everything, make
// the machine, attach monitors, tell the parent, run; and back again at the end.
#pragma once

#include <span>
#include <string_view>

namespace nandu {

// argv without the program's name. Returns the process's exit status.
int RunCommandLine(std::span<const std::string_view> arguments);

}  // namespace nandu
