// The words of -cpu that begin with hv-. No host is needed; see hyperv.h for what they mean.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "vcpu/hyperv.h"

namespace nandu {

// False: no such word. Fails on a value out of range, and on a word whose meaning nandu does not have.
Result<bool> SetHyperV(HyperVOptions* options, std::string_view name, std::string_view value);

// Every word SetHyperV takes, for help and completion.
std::vector<std::string_view> HyperVPropertyNames();

}  // namespace nandu
