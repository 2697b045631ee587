// Opening taps: the ioctls of /dev/net/tun with sentences for what can go wrong. Control thread, at set-up.
#pragma once

#include <net/if.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/opener.h"

namespace nandu {

struct TapRequest {
  std::string ifname;  // empty: the kernel chooses
  unsigned queues = 1;
  std::optional<bool> vnet_header;  // absent: when the kernel can
};
struct OpenedTap {
  std::string ifname;
  std::vector<UniqueFd> fds;  // one per queue
  bool vnet_header = false;
};
Result<OpenedTap> OpenTapByName(Opener& opener, const TapRequest& request);
// Descriptors somebody else set up (libvirt): all of one kind, made non-blocking here.
Result<OpenedTap> AdoptTaps(const std::vector<int>& fds, std::optional<bool> vnet_header);
// "3:4:5"
Result<std::vector<int>> ParseDescriptorList(std::string_view text);
// Runs `program` with the interface's name and waits; fails when it cannot be run or answers other than 0.
Result<> RunTapScript(const std::string& program, const std::string& ifname);

}  // namespace nandu
