// nandu boot-test: boots images as CI does and says whether they come up.
#pragma once

#include "verbs/options.h"

namespace nandu {

// Answers 0 where every image passed, 1 where one did not, 2 for a wrong command line.
int BootTest(const BootTestOptions& options);

}  // namespace nandu
