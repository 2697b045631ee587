// The commands beside QEMU's options: nandu run IMAGE, boot-test, ps and the rest. CLI11 sits behind
// verbs.cpp.
#pragma once

#include <span>
#include <string_view>

namespace nandu {

bool IsVerb(std::string_view word);
// arguments[0] is the verb. Answers the process's exit status.
int RunVerb(std::span<const std::string_view> arguments);

}  // namespace nandu
