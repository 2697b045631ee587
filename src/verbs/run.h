// nandu run IMAGE: this process becomes the VM.
#pragma once

#include "verbs/options.h"

namespace nandu {

// Answers the process's exit status.
int RunImage(RunOptions options);

}  // namespace nandu
