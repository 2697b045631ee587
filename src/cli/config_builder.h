// Tokens -> MachineConfig: each option has one function here, then the defaults are filled in as QEMU does.
// What only the machine can judge (a device's properties, a missing file) it judges.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/tokenizer.h"
#include "machine/config.h"

namespace nandu {

// What a command line asks for besides, or instead of, running a VM.
struct CommandLine {
  std::optional<std::string> answer;  // for stdout, instead of a VM: -help, -device help ...
  MachineConfig config;
  std::vector<std::string> notes;  // one line each on stderr: a default device that nandu does not have yet
};

Result<CommandLine> ParseCommandLine(std::span<const std::string_view> arguments);

}  // namespace nandu
