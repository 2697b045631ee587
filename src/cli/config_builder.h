// Tokens -> MachineConfig: each option has one function here, then the defaults are filled in as QEMU does.
// What only the machine can judge (a device's properties, a missing file) it judges.
#pragma once

#include <memory>
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
  enum class Action : uint8_t {
    kRun,
    kHelp,
    kVersion,
    kMachineHelp,
    kCpuHelp,
    kAccelHelp,
    kDeviceHelp,
    kDeviceOptionsHelp,
    kChardevHelp,
    kNetdevHelp
  };
  Action action = Action::kRun;
  std::string subject;  // the driver of -device DRIVER,help
  MachineConfig config;
  std::vector<std::string> notes;  // one line each on stderr: a default device that nandu does not have yet
};

Result<CommandLine> ParseCommandLine(std::span<const std::string_view> arguments);

}  // namespace nandu
