// Resource limits of the process. Once, at start.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace nandu {

// Raises the number of descriptors to what the host allows this process (getrlimit(2)): every queue, vector
// and disk takes some, and the soft limit of most shells is 1024. Answers the limit in force.
Result<uint64_t> RaiseFileLimit();

}  // namespace nandu
