// -readconfig: options in a file, as QEMU writes and reads them.
//
//   # a comment
//   [device "net0"]
//     driver = "virtio-net-pci"
//     netdev = "n"
//
// A section is one option; its name in quotes is the option's id. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/option_table.h"

namespace nandu {

struct ConfigSection {
  const OptionSpec* option = nullptr;
  std::string value;  // "driver=virtio-net-pci,netdev=n,id=net0"
};

// `name`: the file's, for errors, which also say the line.
Result<std::vector<ConfigSection>> ParseConfigFile(std::string_view text, std::string_view name);

// The option that QEMU's group of this name stands for ("smp-opts": -smp); null: no such group.
const OptionSpec* FindOptionGroup(std::string_view group);
// A value for a key=value list: a comma is written twice.
std::string EscapeCommas(std::string_view value);

}  // namespace nandu
