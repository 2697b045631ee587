// QEMU's argv as (option, value) pairs in order. CLI11 cannot read QEMU's single-dash long options, hence
// this: `-x` and `--x` are the same, an option takes the number of words the table says, and a bare word is a
// disk image, as in QEMU.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/option_table.h"

namespace nandu {

struct Token {
  const OptionSpec* option = nullptr;
  std::string_view value;    // into argv; empty when the option takes none
  std::string Text() const;  // "-smp 4", for error sentences
};

// `arguments`: argv without the program's name. An unknown option or a missing value is an error; whether
// an option is served the config builder says.
Result<std::vector<Token>> Tokenize(std::span<const std::string_view> arguments);

}  // namespace nandu
