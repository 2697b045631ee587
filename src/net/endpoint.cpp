#include "net/endpoint.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/checked.h"
#include "net/tap_setup.h"

namespace nandu {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;  // clang 14 does not deduce it

const sockaddr* Generic(const PacketDestination& address) {
  return reinterpret_cast<const sockaddr*>(&address.address);
}

enum class Side : uint8_t { kServer, kClient };

Result<std::vector<PacketDestination>> Resolve(const InetEndpoint& inet, int kind, Side side) {
  if (inet.port.empty()) {
    return Fail(Errc::kInvalidArgument, "an inet address needs port=");
  }
  if (side == Side::kClient && inet.host.empty()) {
    return Fail(Errc::kInvalidArgument, "the address of a peer needs host=");
  }
  if (inet.mptcp.value_or(false)) {
    return Fail(Errc::kUnsupported, "mptcp=on is not served; leave it out");
  }
  // ipv4=on alone means only IPv4, and the other way round; both or none: either.
  const bool ipv4 = inet.ipv4.value_or(!inet.ipv6.value_or(false));
  const bool ipv6 = inet.ipv6.value_or(!inet.ipv4.value_or(false));
  if (!ipv4 && !ipv6) {
    return Fail(Errc::kInvalidArgument, "ipv4=off and ipv6=off leave no address; drop one of them");
  }
  addrinfo hints{};
  hints.ai_family = ipv4 && ipv6 ? AF_UNSPEC : (ipv6 ? AF_INET6 : AF_INET);
  hints.ai_socktype = kind;
  hints.ai_flags = (side == Side::kServer ? AI_PASSIVE : 0) |
                   (inet.numeric.value_or(false) ? AI_NUMERICHOST | AI_NUMERICSERV : 0);
  addrinfo* found = nullptr;
  const char* const host = inet.host.empty() ? nullptr : inet.host.c_str();
  if (const int code = ::getaddrinfo(host, inet.port.c_str(), &hints, &found); code != 0) {
    return Fail(Errc::kNotFound, "cannot resolve {}:{}: {}", inet.host, inet.port, ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<PacketDestination> all;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    PacketDestination& address = all.emplace_back();
    address.length = each->ai_addrlen;
    std::memcpy(&address.address, each->ai_addr, each->ai_addrlen);
  }
  return all;
}

void SetPort(PacketDestination* address, uint16_t port) {
  if (address->address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address->address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address->address)->sin_port = htons(port);
  }
}

uint16_t PortOf(const PacketDestination& address) {
  return ntohs(address.address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address.address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address.address)->sin_port);
}

UniqueFd NewSocket(int family, int kind) {
  return UniqueFd(::socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void SetOption(int fd, int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof(value)); }

// 0 or errno.
int BindAndListen(int fd, const PacketDestination& address) {
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.address.ss_family == AF_INET6) {
    SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  return ::bind(fd, Generic(address), address.length) == 0 && ::listen(fd, 1) == 0 ? 0 : errno;
}

// One socket for each address the host name stands for, all on the port the first one got.
Result<std::vector<UniqueFd>> ListenInet(const InetEndpoint& inet) {
  std::vector<PacketDestination> candidates = TRY(Resolve(inet, SOCK_STREAM, Side::kServer));
  const unsigned first = PortOf(candidates.front());
  const unsigned last = std::max<unsigned>(first, inet.to.value_or(0));
  std::vector<UniqueFd> listening;
  int reason = EADDRNOTAVAIL;
  for (unsigned port = first; port <= last && listening.empty(); ++port) {
    for (PacketDestination& candidate : candidates) {
      SetPort(&candidate, Narrow<uint16_t>(port));
      UniqueFd fd = NewSocket(candidate.address.ss_family, SOCK_STREAM);
      const int failed = fd ? BindAndListen(fd.get(), candidate) : errno;
      if (failed == 0) {
        listening.push_back(std::move(fd));
      } else {
        reason = failed;
      }
    }
  }
  if (listening.empty()) {
    return FailErrno(reason, "cannot listen on {}:{}", inet.host, inet.port);
  }
  return listening;
}

// 0 or errno.
int ConnectWithin(int fd, const PacketDestination& address, int timeout_ms) {
  if (::connect(fd, Generic(address), address.length) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  pollfd wait{fd, POLLOUT, 0};
  if (::poll(&wait, 1, timeout_ms) <= 0) {
    return ETIMEDOUT;
  }
  int reason = 0;
  socklen_t length = sizeof(reason);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &length) == 0 ? reason : errno;
}

Result<UniqueFd> ConnectInet(const InetEndpoint& inet, int timeout_ms) {
  int reason = EADDRNOTAVAIL;
  const std::vector<PacketDestination> candidates = TRY(Resolve(inet, SOCK_STREAM, Side::kClient));
  for (const PacketDestination& candidate : candidates) {
    UniqueFd fd = NewSocket(candidate.address.ss_family, SOCK_STREAM);
    reason = fd ? ConnectWithin(fd.get(), candidate, timeout_ms) : errno;
    if (reason == 0) {
      SetOption(fd.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, 1);
      SetOption(fd.get(), SOL_SOCKET, SO_KEEPALIVE, inet.keep_alive.value_or(false) ? 1 : 0);
      return fd;
    }
  }
  return FailErrno(reason, "cannot connect to {}:{}; start its server first", inet.host, inet.port);
}

Result<> CheckUnix(const UnixEndpoint& name) {
  if (name.path.empty()) {
    return Fail(Errc::kInvalidArgument, "a unix address needs path=");
  }
  if (name.abstract && !name.tight) {
    return Fail(Errc::kUnsupported,
                "abstract names padded with zeroes (tight=off) are not supported; use tight=on on both sides");
  }
  return {};
}

Opener::UnixNamespace NamespaceOf(const UnixEndpoint& name) {
  return name.abstract ? Opener::UnixNamespace::kAbstract : Opener::UnixNamespace::kPath;
}

Result<PacketDestination> UnixAddressOf(const UnixEndpoint& name) {
  TRY(CheckUnix(name));
  PacketDestination made;
  auto* const address = reinterpret_cast<sockaddr_un*>(&made.address);
  const size_t shift = name.abstract ? 1 : 0;
  if (name.path.size() + 1 > sizeof(address->sun_path)) {
    return Fail(Errc::kInvalidArgument, "unix socket path '{}' has {} bytes; it takes 1 to {}", name.path,
                name.path.size(), sizeof(address->sun_path) - 1);
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path + shift, name.path.data(), name.path.size());
  made.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.path.size() + 1);
  return made;
}

}  // namespace

std::string EndpointName(const Endpoint& endpoint) {
  return std::visit(
      Overloaded{[](const InetEndpoint& inet) { return Format("tcp:{}:{}", inet.host, inet.port); },
                 [](const UnixEndpoint& name) { return Format("unix:{}", name.path); },
                 [](const FdEndpoint& fd) { return Format("fd:{}", fd.str); }},
      endpoint);
}

boost::json::object EndpointJson(const Endpoint& endpoint) {
  return std::visit(Overloaded{[](const InetEndpoint& inet) {
                                 return boost::json::object{
                                     {"host", inet.host}, {"port", inet.port}, {"type", "inet"}};
                               },
                               [](const UnixEndpoint& name) {
                                 return boost::json::object{{"path", name.path}, {"type", "unix"}};
                               },
                               [](const FdEndpoint& fd) {
                                 return boost::json::object{{"str", fd.str}, {"type", "fd"}};
                               }},
                    endpoint);
}

boost::json::object PeerJson(int fd) {
  PacketDestination peer;
  peer.length = sizeof(peer.address);
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer.address), &peer.length) != 0 ||
      (peer.address.ss_family != AF_INET && peer.address.ss_family != AF_INET6) ||
      ::getnameinfo(Generic(peer), peer.length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return EndpointJson(UnixEndpoint{});  // who connects to a unix socket has no name
  }
  return EndpointJson(InetEndpoint{host.data(), port.data(), {}, {}, {}, {}, {}, {}});
}

Result<std::vector<UniqueFd>> ListenAt(Opener& opener, const Endpoint& endpoint) {
  if (const auto* inet = std::get_if<InetEndpoint>(&endpoint)) {
    return ListenInet(*inet);
  }
  UniqueFd fd;
  if (const auto* name = std::get_if<UnixEndpoint>(&endpoint)) {
    TRY(CheckUnix(*name));
    fd = TRY(opener.ListenUnix(name->path, NamespaceOf(*name)));
  } else {
    fd = TRY(AdoptSocket(std::get<FdEndpoint>(endpoint), SOCK_STREAM));
  }
  std::vector<UniqueFd> one;
  one.push_back(std::move(fd));
  return one;
}

Result<UniqueFd> ConnectTo(Opener& opener, const Endpoint& endpoint, int timeout_ms) {
  if (const auto* inet = std::get_if<InetEndpoint>(&endpoint)) {
    return ConnectInet(*inet, timeout_ms);
  }
  if (const auto* name = std::get_if<UnixEndpoint>(&endpoint)) {
    TRY(CheckUnix(*name));
    Result<UniqueFd> connected = opener.ConnectUnix(name->path, NamespaceOf(*name));
    if (!connected) {
      Error error = std::move(connected).error();
      error.message += "; start its server first";
      return tl::unexpected<Error>(std::move(error));
    }
    return connected;
  }
  return AdoptSocket(std::get<FdEndpoint>(endpoint), SOCK_STREAM);
}

bool AdoptsAs(const FdEndpoint& endpoint, int kind) {
  const Result<std::vector<int>> numbers = ParseDescriptorList(endpoint.str);
  int found = 0;
  socklen_t length = sizeof(found);
  return numbers && numbers->size() == 1 &&
         ::getsockopt(numbers->front(), SOL_SOCKET, SO_TYPE, &found, &length) == 0 && found == kind;
}

Result<UniqueFd> AdoptSocket(const FdEndpoint& endpoint, int kind) {
  const std::vector<int> numbers = TRY(ParseDescriptorList(endpoint.str));
  const int fd = numbers.front();
  if (!AdoptsAs(endpoint, kind)) {
    return Fail(Errc::kInvalidArgument, "fd={} is no {} socket", fd, kind == SOCK_STREAM ? "stream" : "datagram");
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    return FailErrno(errno, "cannot make fd={} non-blocking", fd);
  }
  return UniqueFd(fd);
}

Result<PacketDestination> ResolveDatagram(const Endpoint& endpoint) {
  if (const auto* inet = std::get_if<InetEndpoint>(&endpoint)) {
    const std::vector<PacketDestination> all = TRY(Resolve(*inet, SOCK_DGRAM, Side::kClient));
    return all.front();
  }
  if (const auto* name = std::get_if<UnixEndpoint>(&endpoint)) {
    return UnixAddressOf(*name);
  }
  return Fail(Errc::kInvalidArgument, "a peer is inet or unix; an inherited descriptor goes to local.type=fd");
}

bool IsMulticast(const PacketDestination& address) {
  return address.address.ss_family == AF_INET &&
         IN_MULTICAST(ntohl(reinterpret_cast<const sockaddr_in*>(&address.address)->sin_addr.s_addr));
}

Result<UniqueFd> BindDatagram(Opener& opener, const Endpoint& endpoint) {
  if (const auto* fd = std::get_if<FdEndpoint>(&endpoint)) {
    return AdoptSocket(*fd, SOCK_DGRAM);
  }
  const PacketDestination at = TRY(ResolveDatagram(endpoint));
  if (const auto* name = std::get_if<UnixEndpoint>(&endpoint); name != nullptr && !name->abstract) {
    struct stat status {};
    if (::lstat(name->path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
      TRY(opener.Remove(name->path));
    }
  }
  UniqueFd fd = NewSocket(at.address.ss_family, SOCK_DGRAM);
  if (fd && at.address.ss_family != AF_UNIX) {
    SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  }
  if (!fd || ::bind(fd.get(), Generic(at), at.length) != 0) {
    return FailErrno(errno, "cannot receive at {}", EndpointName(endpoint));
  }
  return fd;
}

Result<UniqueFd> JoinGroup(const PacketDestination& group, const std::string& local) {
  ip_mreq request{};
  request.imr_multiaddr = reinterpret_cast<const sockaddr_in*>(&group.address)->sin_addr;
  request.imr_interface.s_addr = htonl(INADDR_ANY);
  if (!local.empty() && ::inet_pton(AF_INET, local.c_str(), &request.imr_interface) != 1) {
    return Fail(Errc::kInvalidArgument, "'{}' is no IPv4 address of this host", local);
  }
  UniqueFd fd = NewSocket(AF_INET, SOCK_DGRAM);
  if (!fd) {
    return FailErrno(errno, "cannot create a datagram socket");
  }
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);  // the other VMs of this host are at the same port
  SetOption(fd.get(), IPPROTO_IP, IP_MULTICAST_LOOP, 1);
  if (::bind(fd.get(), Generic(group), group.length) != 0) {
    return FailErrno(errno, "cannot receive at the multicast group");
  }
  if (::setsockopt(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) != 0) {
    return FailErrno(errno, "cannot join the multicast group; name the interface by its address");
  }
  if (!local.empty() && ::setsockopt(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, &request.imr_interface,
                                     sizeof(request.imr_interface)) != 0) {
    return FailErrno(errno, "cannot send from {}", local);
  }
  return fd;
}

Result<InetEndpoint> ParseHostPort(std::string_view option, const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) {
    return Fail(Errc::kInvalidArgument, "{}={} is no address; write it as HOST:PORT", option, text);
  }
  InetEndpoint inet;
  inet.host = text.substr(0, colon);
  inet.port = text.substr(colon + 1);
  if (inet.host.size() > 2 && inet.host.front() == '[' && inet.host.back() == ']') {
    inet.host = inet.host.substr(1, inet.host.size() - 2);
  }
  return inet;
}

}  // namespace nandu
