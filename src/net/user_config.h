// A user network's options, checked: addresses and rules as QEMU 7.2 writes them, with its defaults. Any thread.
#pragma once

#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/options.h"

namespace nandu {

// A port of the host's that leads into the guest.
struct HostForward {
  bool udp = false;
  in_addr host{};  // 0.0.0.0: any
  uint16_t host_port = 0;
  in_addr guest{};  // 0.0.0.0: the first address DHCP gives out
  uint16_t guest_port = 0;
};
// A port in the guest's network that leads to a program or a chardev of the host's.
struct GuestForward {
  in_addr server{};  // 0.0.0.0: libslirp's choice, 10.0.2.4
  uint16_t port = 0;
  std::string command;  // run for each connection; or
  std::string chardev;  // in the short form -serial takes
};

struct UserConfig {
  bool restricted = false;
  bool ipv4 = true;
  in_addr network{};
  in_addr mask{};
  in_addr host{};
  in_addr dhcp_start{};
  in_addr dns{};
  bool ipv6 = true;
  in6_addr prefix{};
  uint8_t prefix_bits = 64;
  in6_addr host6{};
  in6_addr dns6{};
  std::optional<std::string> host_name;
  std::optional<std::string> domain_name;
  std::vector<std::string> dns_search;
  std::optional<std::string> tftp_directory;
  std::optional<std::string> tftp_server_name;
  std::optional<std::string> boot_file;
  std::vector<HostForward> host_forwards;
  std::vector<GuestForward> guest_forwards;
};

Result<UserConfig> UserConfigFrom(const UserOptions& options);
// "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"
Result<HostForward> ParseHostForward(std::string_view rule);
// "[tcp|udp]:[hostaddr]:hostport", for removing; the guest's side is empty.
Result<HostForward> ParseForwardedPort(std::string_view rule);
// "[tcp]:server:port-cmd:program" or "[tcp]:server:port-chardev"
Result<GuestForward> ParseGuestForward(std::string_view rule);
std::string AddressText(in_addr address);  // "10.0.2.2"

}  // namespace nandu
