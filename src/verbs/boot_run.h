// One image's boot test: a VM over an overlay of it, watched to its end. Blocks for as long as the guest
// takes; several threads may run one each.
#pragma once

#include <functional>

#include "verbs/boot_report.h"
#include "verbs/options.h"

namespace nandu {

// Called with what happens now, in a few words.
using BootProgress = std::function<void(const std::string& text)>;

// A wrong option is an error; whatever the guest does is an outcome.
Result<BootOutcome> RunBoot(const BootTestOptions& options, const std::string& image,
                            const BootProgress& progress);

}  // namespace nandu
