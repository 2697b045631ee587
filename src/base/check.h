// NANDU_CHECK(condition, "the invariant in words"): for our own bugs only, never for what a guest, a client, an image
// or a peer can cause. Prints the sentence and aborts.
#pragma once

namespace nandu {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const char* invariant);
}

#define NANDU_CHECK(condition, invariant)                                     \
  do {                                                                        \
    if (!(condition)) [[unlikely]] {                                          \
      ::nandu::CheckFailed(__FILE__, __LINE__, #condition, invariant);        \
    }                                                                         \
  } while (false)
