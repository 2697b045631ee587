// Where a socket chardev listens or connects: unix path, abstract name, TCP host and port, or a descriptor
// that was inherited.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "chardev/options.h"
#include "sandbox/opener.h"

namespace nandu {

struct UnixAddress {
  std::string path;
  bool abstract = false;
};
struct InetAddress {
  std::string host;
  std::string port;
  uint16_t last_port = 0;  // server: 0 or the last one to try
  bool ipv4 = true;
  bool ipv6 = true;
};
struct InheritedSocket {
  int fd = -1;
};
using SocketAddress = std::variant<UnixAddress, InetAddress, InheritedSocket>;

struct ResolvedAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = 0;
};

// Checks that exactly one kind of address is given and that it makes sense.
Result<SocketAddress> AddressFromOptions(const SocketOptions& options);
// Where a client's server may be. Blocks on a name service; never empty.
Result<std::vector<ResolvedAddress>> ResolveServer(const InetAddress& address);
Result<UniqueFd> ConnectUnix(Opener& opener, const UnixAddress& address);  // never waits
// "unix:/x,server=on", "tcp:127.0.0.1:4444,server=on": as query-chardev says it.
std::string Describe(const SocketAddress& address, bool server);
// "127.0.0.1:4444" of a connected or bound TCP socket; empty for others.
std::string EndpointText(int fd, bool peer);

// A listening socket and the file to remove with it. A socket file in the way is replaced, as QEMU does; any
// other file is not.
struct ListeningSocket {
  UniqueFd fd;
  std::string unlink_path;  // empty: nothing to remove
  uint64_t device = 0;
  uint64_t inode = 0;  // removed only when it is still ours
};
// Never empty.
Result<std::vector<ListeningSocket>> Listen(Opener& opener, const SocketAddress& address);
// Connects and waits for it at most `timeout_ms`. Set-up only.
Result<UniqueFd> ConnectNow(Opener& opener, const SocketAddress& address, int timeout_ms);

}  // namespace nandu
