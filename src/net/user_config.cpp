// Addresses (inet_pton(3)) and defaults of a user network.
#include "net/user_config.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>

namespace nandu {
namespace {

// QEMU's network: 10.0.2.0/24 with the host at .2, DNS at .3 and DHCP from .15 on; fec0::/64 alike.
constexpr const char* kNetwork = "10.0.2.0/24";
constexpr const char* kPrefix = "fec0::";
constexpr uint32_t kHostPart = 2;
constexpr uint32_t kDnsPart = 3;
constexpr uint32_t kDhcpPart = 15;
constexpr size_t kMaxNameBytes = 255;  // a DHCP option's (RFC 2132, 2)
constexpr uint8_t kMaxPrefixBits = 126;

Result<in_addr> Ipv4From(std::string_view name, const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) {
    return Fail(Errc::kInvalidArgument, "{}={} is no IPv4 address", name, text);
  }
  return address;
}

Result<in6_addr> Ipv6From(std::string_view name, const std::string& text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text.c_str(), &address) != 1) {
    return Fail(Errc::kInvalidArgument, "{}={} is no IPv6 address", name, text);
  }
  return address;
}

template <class Number>
std::optional<Number> NumberIn(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && stop == end && !text.empty() ? std::optional(number) : std::nullopt;
}

uint32_t MaskOf(unsigned bits) { return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits); }

// Without a mask: the block for private use or tests that the address lies in (RFC 1918, RFC 2544), or its class.
unsigned UsualBits(uint32_t address) {
  struct Block {
    uint32_t address;
    unsigned in_bits;
    unsigned bits;
  };
  static constexpr Block kBlocks[] = {{0x00000000, 1, 8},  {0xac100000, 12, 12}, {0x80000000, 2, 16},
                                      {0xc0a80000, 16, 16}, {0xc6120000, 15, 15}};
  const auto* const found = std::ranges::find_if(
      kBlocks, [address](const Block& block) { return (address & MaskOf(block.in_bits)) == block.address; });
  return found == std::end(kBlocks) ? 24 : found->bits;
}

Result<> SetNetwork(const std::string& text, UserConfig* config) {
  const size_t slash = text.find('/');
  const in_addr network = TRY(Ipv4From("net", text.substr(0, slash)));
  uint32_t mask = MaskOf(UsualBits(ntohl(network.s_addr)));
  if (slash != std::string::npos) {
    const std::string given = text.substr(slash + 1);
    const std::optional<unsigned> bits = NumberIn<unsigned>(given);
    if (bits && *bits >= 4 && *bits <= 29) {
      mask = MaskOf(*bits);
    } else if (in_addr dotted{}; !bits && ::inet_pton(AF_INET, given.c_str(), &dotted) == 1) {
      mask = ntohl(dotted.s_addr);
    } else {
      return Fail(Errc::kInvalidArgument,
                  "net={}: the mask is 4 to 29 bits, or written as 255.255.255.0", text);
    }
  }
  config->mask.s_addr = htonl(mask);
  config->network.s_addr = network.s_addr & config->mask.s_addr;
  return {};
}

Result<in_addr> Within(const UserConfig& config, std::string_view name, const std::optional<std::string>& text,
                       uint32_t usual) {
  in_addr address{};
  address.s_addr = config.network.s_addr | (htonl(usual) & ~config.mask.s_addr);
  if (text) {
    address = TRY(Ipv4From(name, *text));
    if ((address.s_addr & config.mask.s_addr) != config.network.s_addr) {
      return Fail(Errc::kInvalidArgument, "{}={} is not in the network {}; choose one that is, or another net=",
                  name, *text, AddressText(config.network));
    }
  }
  return address;
}

Result<> SetIpv4(const UserOptions& options, UserConfig* config) {
  TRY(SetNetwork(options.net.value_or(kNetwork), config));
  config->host = TRY(Within(*config, "host", options.host, kHostPart));
  config->dns = TRY(Within(*config, "dns", options.dns, kDnsPart));
  config->dhcp_start = TRY(Within(*config, "dhcpstart", options.dhcpstart, kDhcpPart));
  if (config->dns.s_addr == config->host.s_addr) {
    return Fail(Errc::kInvalidArgument, "dns= and host= are the same address; they must differ");
  }
  return {};
}

bool SamePrefix(const in6_addr& a, const in6_addr& b, unsigned bits) {
  const unsigned whole = bits / 8;
  const unsigned rest = bits % 8;
  return std::memcmp(&a, &b, whole) == 0 &&
         (rest == 0 || (a.s6_addr[whole] >> (8 - rest)) == (b.s6_addr[whole] >> (8 - rest)));
}

Result<in6_addr> Within6(const UserConfig& config, std::string_view name, const std::optional<std::string>& text,
                         uint8_t usual) {
  in6_addr address = config.prefix;
  address.s6_addr[15] |= usual;
  if (text) {
    address = TRY(Ipv6From(name, *text));
    if (!SamePrefix(address, config.prefix, config.prefix_bits)) {
      return Fail(Errc::kInvalidArgument, "{}={} does not begin with the prefix of ipv6-net=", name, *text);
    }
  }
  return address;
}

Result<> SetIpv6(const UserOptions& options, UserConfig* config) {
  std::string prefix = options.ipv6_prefix.value_or(kPrefix);
  std::optional<unsigned> bits = options.ipv6_prefixlen;
  if (options.ipv6_net) {
    if (options.ipv6_prefix || options.ipv6_prefixlen) {
      return Fail(Errc::kInvalidArgument, "ipv6-net= is ipv6-prefix= and ipv6-prefixlen= in one; give one form");
    }
    const size_t slash = options.ipv6_net->find('/');
    prefix = options.ipv6_net->substr(0, slash);
    if (slash != std::string::npos) {
      bits = NumberIn<unsigned>(std::string_view(*options.ipv6_net).substr(slash + 1));
      if (!bits) {
        return Fail(Errc::kInvalidArgument, "ipv6-net={}: the length of its prefix is no number", *options.ipv6_net);
      }
    }
  }
  if (bits.value_or(64) > kMaxPrefixBits) {
    return Fail(Errc::kInvalidArgument, "an IPv6 prefix of {} bits leaves no addresses; {} is the most", *bits,
                kMaxPrefixBits);
  }
  config->prefix = TRY(Ipv6From("ipv6-prefix", prefix));
  config->prefix_bits = static_cast<uint8_t>(bits.value_or(64));
  config->host6 = TRY(Within6(*config, "ipv6-host", options.ipv6_host, kHostPart));
  config->dns6 = TRY(Within6(*config, "ipv6-dns", options.ipv6_dns, kDnsPart));
  return {};
}

// As QEMU: one family that is asked for turns the other off, unless that is asked for as well.
Result<> SetFamilies(const UserOptions& options, UserConfig* config) {
  config->ipv4 = options.ipv4.value_or(!options.ipv6.value_or(false));
  config->ipv6 = options.ipv6.value_or(!options.ipv4.value_or(false));
  if (!config->ipv4 && !config->ipv6) {
    return Fail(Errc::kInvalidArgument, "ipv4=off and ipv6=off leave no network; drop one of them");
  }
  if (!config->ipv4 && (options.net || options.host || options.dns || options.dhcpstart)) {
    return Fail(Errc::kInvalidArgument, "net=, host=, dns= and dhcpstart= need IPv4; add ipv4=on or drop them");
  }
  if (!config->ipv6 &&
      (options.ipv6_net || options.ipv6_prefix || options.ipv6_prefixlen || options.ipv6_host || options.ipv6_dns)) {
    return Fail(Errc::kInvalidArgument,
                "ipv6-net=, ipv6-prefix=, ipv6-host= and ipv6-dns= need IPv6; add ipv6=on or drop them");
  }
  return {};
}

Result<> CheckNames(const UserOptions& options) {
  const std::pair<std::string_view, const std::optional<std::string>*> names[] = {
      {"hostname", &options.hostname},
      {"domainname", &options.domainname},
      {"tftp-server-name", &options.tftp_server_name}};
  for (const auto& [name, text] : names) {
    if (*text && (*text)->size() > kMaxNameBytes) {
      return Fail(Errc::kInvalidArgument, "{}= has {} bytes; DHCP carries {} at most", name, (*text)->size(),
                  kMaxNameBytes);
    }
  }
  if (options.smb || options.smbserver) {
    return Fail(Errc::kUnsupported,
                "smb= is not served; share a directory by tftp=, or run a server that the guest reaches at host=");
  }
  return {};
}

// Up to the separator, which is taken too; nullopt when there is none.
std::optional<std::string_view> TakeUntil(std::string_view* rest, char separator) {
  const size_t at = rest->find(separator);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view word = rest->substr(0, at);
  rest->remove_prefix(at + 1);
  return word;
}

bool ParseAddress(std::string_view text, in_addr* address) {
  *address = {};
  return text.empty() || ::inet_pton(AF_INET, std::string(text).c_str(), address) == 1;
}

// "[tcp|udp]:[hostaddr]:" of `rest`.
bool TakeHostSide(std::string_view* rest, HostForward* forward) {
  const std::optional<std::string_view> protocol = TakeUntil(rest, ':');
  if (!protocol || !(protocol->empty() || *protocol == "tcp" || *protocol == "udp")) {
    return false;
  }
  forward->udp = *protocol == "udp";
  const std::optional<std::string_view> host = TakeUntil(rest, ':');
  return host && ParseAddress(*host, &forward->host);
}

bool SetPort(std::string_view text, unsigned least, uint16_t* port) {
  const std::optional<uint16_t> number = NumberIn<uint16_t>(text);
  *port = number.value_or(0);
  return number && *number >= least;
}

}  // namespace

std::string AddressText(in_addr address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &address, text.data(), text.size());
}

Result<HostForward> ParseHostForward(std::string_view rule) {
  HostForward forward;
  std::string_view rest = rule;
  if (TakeHostSide(&rest, &forward)) {
    const std::optional<std::string_view> host_port = TakeUntil(&rest, '-');
    const std::optional<std::string_view> guest = TakeUntil(&rest, ':');
    if (host_port && guest && SetPort(*host_port, 0, &forward.host_port) && ParseAddress(*guest, &forward.guest) &&
        SetPort(rest, 1, &forward.guest_port)) {
      return forward;
    }
  }
  return Fail(Errc::kInvalidArgument,
              "'{}' is no forwarding rule; write it as tcp:127.0.0.1:2222-:22 "
              "([tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT)",
              rule);
}

Result<HostForward> ParseForwardedPort(std::string_view rule) {
  HostForward forward;
  std::string_view rest = rule;
  if (TakeHostSide(&rest, &forward) && SetPort(rest, 0, &forward.host_port)) {
    return forward;
  }
  return Fail(Errc::kInvalidArgument,
              "'{}' is no forwarded port; write it as tcp:127.0.0.1:2222 ([tcp|udp]:[HOSTADDR]:HOSTPORT)", rule);
}

Result<GuestForward> ParseGuestForward(std::string_view rule) {
  constexpr std::string_view kCommand = "cmd:";
  GuestForward forward;
  std::string_view rest = rule;
  const std::optional<std::string_view> protocol = TakeUntil(&rest, ':');
  const std::optional<std::string_view> server = TakeUntil(&rest, ':');
  const std::optional<std::string_view> port = TakeUntil(&rest, '-');
  const bool known = protocol && (protocol->empty() || *protocol == "tcp") && server && port &&
                     ParseAddress(*server, &forward.server) && SetPort(*port, 1, &forward.port);
  if (known && rest.starts_with(kCommand) && rest.size() > kCommand.size()) {
    forward.command = rest.substr(kCommand.size());
    return forward;
  }
  if (known && !rest.empty() && !rest.starts_with(kCommand)) {
    forward.chardev = rest;
    return forward;
  }
  return Fail(Errc::kInvalidArgument,
              "'{}' is no forwarding rule; write it as tcp:10.0.2.100:80-cmd:PROGRAM or "
              "tcp:10.0.2.100:80-chardev:ID",
              rule);
}

Result<UserConfig> UserConfigFrom(const UserOptions& options) {
  UserConfig config;
  TRY(CheckNames(options));
  TRY(SetFamilies(options, &config));
  TRY(SetIpv4(options, &config));
  TRY(SetIpv6(options, &config));
  config.restricted = options.restrict_.value_or(false);
  config.host_name = options.hostname;
  config.domain_name = options.domainname;
  for (const ListedText& domain : options.dnssearch) {
    config.dns_search.push_back(domain.str);
  }
  config.tftp_directory = options.tftp;
  config.tftp_server_name = options.tftp_server_name;
  config.boot_file = options.bootfile;
  for (const ListedText& rule : options.hostfwd) {
    config.host_forwards.push_back(TRY(Prefix(ParseHostForward(rule.str), "hostfwd=")));
  }
  for (const ListedText& rule : options.guestfwd) {
    config.guest_forwards.push_back(TRY(Prefix(ParseGuestForward(rule.str), "guestfwd=")));
  }
  return config;
}

}  // namespace nandu
