// What commands say to the person at the terminal, on standard error.
#pragma once

#include <cstdio>
#include <string_view>

#include "base/result.h"

namespace nandu {

inline void Note(std::string_view text) {
  std::fprintf(stderr, "nandu: %.*s\n", static_cast<int>(text.size()), text.data());
}

// A command's exit status; its error is told.
inline int StatusOf(const Result<int>& result) {
  if (!result) {
    Note(result.error().message);
    return 1;
  }
  return *result;
}

}  // namespace nandu
