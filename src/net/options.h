// The options of every -netdev type, as QEMU names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

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

// An option that may be given several times: "hostfwd=A,hostfwd=B", in JSON [{"str": "A"}, {"str": "B"}].
struct ListedText {
  std::string str;
};
BOOST_DESCRIBE_STRUCT(ListedText, (), (str))

struct UserOptions {
  std::optional<std::string> hostname;  // what DHCP tells the guest its name is
  std::optional<bool> restrict_;        // the guest reaches nothing but what is forwarded
  std::optional<bool> ipv4;
  std::optional<bool> ipv6;
  std::optional<std::string> net;        // "10.0.2.0/24"
  std::optional<std::string> host;       // where the guest finds the host
  std::optional<std::string> dhcpstart;  // the first address given out
  std::optional<std::string> dns;
  std::optional<std::string> ipv6_net;  // "fec0::/64"; the two that follow in one
  std::optional<std::string> ipv6_prefix;
  std::optional<uint8_t> ipv6_prefixlen;
  std::optional<std::string> ipv6_host;
  std::optional<std::string> ipv6_dns;
  std::vector<ListedText> dnssearch;
  std::optional<std::string> domainname;
  std::optional<std::string> tftp;  // a directory, read-only
  std::optional<std::string> tftp_server_name;
  std::optional<std::string> bootfile;  // what DHCP tells to boot
  std::vector<ListedText> hostfwd;      // "tcp:127.0.0.1:2222-:22"
  std::vector<ListedText> guestfwd;     // "tcp:10.0.2.100:80-cmd:program", "tcp:10.0.2.100:80-chardev:id"
  std::optional<std::string> smb;
  std::optional<std::string> smbserver;
};
BOOST_DESCRIBE_STRUCT(UserOptions, (),
                      (hostname, restrict_, ipv4, ipv6, net, host, dhcpstart, dns, ipv6_net, ipv6_prefix,
                       ipv6_prefixlen, ipv6_host, ipv6_dns, dnssearch, domainname, tftp, tftp_server_name,
                       bootfile, hostfwd, guestfwd, smb, smbserver))

// Where a socket is, as -netdev stream and dgram write it: addr.type=inet,addr.host=...
struct InetEndpoint {
  std::string host;
  std::string port;
  std::optional<uint16_t> to;   // a server: the last port to try
  std::optional<bool> numeric;  // no name service
  std::optional<bool> keep_alive;
  std::optional<bool> mptcp;
  std::optional<bool> ipv4;
  std::optional<bool> ipv6;
};
BOOST_DESCRIBE_STRUCT(InetEndpoint, (), (host, port, to, numeric, keep_alive, mptcp, ipv4, ipv6))
struct UnixEndpoint {
  std::string path;
  bool abstract = false;
  bool tight = true;
};
BOOST_DESCRIBE_STRUCT(UnixEndpoint, (), (path, abstract, tight))
struct FdEndpoint {
  std::string str;  // a descriptor that was inherited
};
BOOST_DESCRIBE_STRUCT(FdEndpoint, (), (str))
constexpr std::string_view TagValue(const InetEndpoint* /*type*/) { return "inet"; }
constexpr std::string_view TagValue(const UnixEndpoint* /*type*/) { return "unix"; }
constexpr std::string_view TagValue(const FdEndpoint* /*type*/) { return "fd"; }
using Endpoint = std::variant<InetEndpoint, UnixEndpoint, FdEndpoint>;

struct StreamOptions {
  std::optional<Endpoint> addr;
  bool server = false;
};
BOOST_DESCRIBE_STRUCT(StreamOptions, (), (addr, server))

struct DgramOptions {
  std::optional<Endpoint> local;
  std::optional<Endpoint> remote;
};
BOOST_DESCRIBE_STRUCT(DgramOptions, (), (local, remote))

// The older spelling of both.
struct SocketNetOptions {
  std::optional<std::string> fd;
  std::optional<std::string> listen;     // "[host]:port"
  std::optional<std::string> connect;    // "host:port"
  std::optional<std::string> mcast;      // "group:port"
  std::optional<std::string> udp;        // "host:port"
  std::optional<std::string> localaddr;  // of mcast "addr", of udp "addr:port"
};
BOOST_DESCRIBE_STRUCT(SocketNetOptions, (), (fd, listen, connect, mcast, udp, localaddr))

struct BridgeOptions {
  std::optional<std::string> br;      // absent: br0
  std::optional<std::string> helper;  // absent: QEMU's
};
BOOST_DESCRIBE_STRUCT(BridgeOptions, (), (br, helper))

}  // namespace nandu
