// Every option of QEMU 7.2's x86-64 command line: how many words it takes, and what nandu does with it. An
// option that is not here is unknown; one that is here but not obeyed is refused with its sentence. Nothing
// is ignored.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "machine/handling.h"

namespace nandu {

struct OptionSpec {
  std::string_view name;  // without dashes
  bool takes_value = false;
  Handling handling = Handling::kWorks;
  std::string_view argument;  // for -help: "[type=]name[,prop=value...]"
  std::string_view text;      // for -help, or the reason
};

std::span<const OptionSpec> OptionTable();
const OptionSpec* FindOption(std::string_view name);

// The test that shows an option that works ("disk.lab.case", "unit_cli.Suite.Case"); empty for the others.
std::string_view TestOf(const OptionSpec& option);

std::string OptionSupportText();      // a line per option: nandu options
std::string OptionSupportMarkdown();  // docs/command-line.md

}  // namespace nandu
