#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace nandu {

void CheckFailed(const char* file, int line, const char* condition, const char* invariant) {
  std::fprintf(stderr, "nandu: bug: %s (%s at %s:%d)\n", invariant, condition, file, line);
  std::abort();
}

}  // namespace nandu
