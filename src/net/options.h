// The options of every -netdev type, as QEMU names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/described.h"

namespace nandu {

struct TapOptions {
  std::optional<std::string> ifname;  // absent: the kernel chooses tapN
  std::optional<std::string> fd;      // an open tap that was inherited
  std::optional<std::string> fds;     // the same, one per queue: "3:4:5"
  std::optional<std::string>
      script;  // "no", or a program that gets the interface's name; absent: /etc/qemu-ifup if there
  std::optional<std::string> downscript;  // the same when the VM ends; absent: /etc/qemu-ifdown if there
  std::optional<std::string> br;
  std::optional<std::string> helper;
  std::optional<uint64_t> sndbuf;  // bytes the kernel queues for sending before it says busy; 0: no bound
  std::optional<bool> vnet_hdr;    // absent: when the kernel can
  std::optional<bool> vhost;
  std::optional<std::string> vhostfd;
  std::optional<std::string> vhostfds;
  std::optional<bool> vhostforce;
  std::optional<uint32_t> poll_us;
  std::optional<uint32_t> queues;  // queue pairs of an interface that is opened by name
};
inline std::span<const WireName> WireNames(const TapOptions* /*type*/) {
  static constexpr WireName kNames[] = {{"vnet_hdr", "vnet_hdr"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(TapOptions, (),
                      (ifname, fd, fds, script, downscript, br, helper, sndbuf, vnet_hdr, vhost, vhostfd,
                       vhostfds, vhostforce, poll_us, queues))

}  // namespace nandu
