// Every option of QEMU 7.2's x86-64 command line: how many words it takes, and what nandu does with it. An
// option that is not here is unknown; one that is here but not obeyed is refused with its sentence. Nothing
// is ignored.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nandu {

enum class Handling : uint8_t {
  kWorks,
  kPlanned,  // refused today; the text says what it waits for
  kRefused,  // refused for good; the text says why and what to do instead
};

struct OptionSpec {
  std::string_view name;  // without dashes
  bool takes_value = false;
  Handling handling = Handling::kWorks;
  std::string_view argument;  // for -help: "[type=]name[,prop=value...]"
  std::string_view text;      // for -help, or the reason
};

std::span<const OptionSpec> OptionTable();
const OptionSpec* FindOption(std::string_view name);

}  // namespace nandu
