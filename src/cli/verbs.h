// The friendly commands beside QEMU's options: nandu run, options, completion, help, version. CLI11 sits
// behind verbs.cpp.
#pragma once

#include <span>
#include <string_view>

namespace nandu {

// What a first word without a dash asked for: a status to exit with, or the QEMU arguments of `run`.
struct VerbOutcome {
  bool run = false;
  int status = 0;
  std::span<const std::string_view> run_arguments;  // into `arguments`
};

bool IsVerb(std::string_view word);
VerbOutcome RunVerb(std::span<const std::string_view> arguments);  // arguments[0] is the verb

}  // namespace nandu
