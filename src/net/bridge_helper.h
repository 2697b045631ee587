// A tap on a bridge without root: QEMU's setuid helper makes it and sends its descriptor over a unix socket (qemu-bridge-helper(8);
// unix(7), SCM_RIGHTS). Control thread, at set-up; waits for the helper.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

inline constexpr const char* kDefaultBridge = "br0";
inline constexpr const char* kDefaultBridgeHelper = "/usr/lib/qemu/qemu-bridge-helper";

// Runs `helper --use-vnet --fd=N --br=BRIDGE`; a helper with words of its own is run by /bin/sh.
Result<UniqueFd> TapFromHelper(const std::string& helper, const std::string& bridge);

}  // namespace nandu
