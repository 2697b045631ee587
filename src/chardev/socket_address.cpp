// Socket addresses: from options to bound or connected sockets (unix(7), ip(7), getaddrinfo(3)).
#include "chardev/socket_address.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr const char* kNoServerAdvice = "; start its server first, or use reconnect=1 to keep trying";

Result<std::vector<ResolvedAddress>> ResolveTcp(const InetAddress& address, bool server) {
  addrinfo hints{};
  hints.ai_family = address.ipv4 && address.ipv6 ? AF_UNSPEC : (address.ipv6 ? AF_INET6 : AF_INET);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = server ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  const char* host = address.host.empty() ? nullptr : address.host.c_str();
  if (const int code = ::getaddrinfo(host, address.port.c_str(), &hints, &found); code != 0) {
    return Fail(Errc::kNotFound, "cannot resolve {}:{}: {}", address.host, address.port,
                ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<ResolvedAddress> all;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    ResolvedAddress resolved;
    resolved.family = each->ai_family;
    resolved.length = each->ai_addrlen;
    std::memcpy(&resolved.storage, each->ai_addr, each->ai_addrlen);
    all.push_back(resolved);
  }
  return all;
}

void SetPort(ResolvedAddress* address, uint16_t port) {
  if (address->family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address->storage)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address->storage)->sin_port = htons(port);
  }
}
uint16_t PortOf(const ResolvedAddress& address) {
  return ntohs(address.family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port
                                          : reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

UniqueFd NewSocket(int family) {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int BindAndListen(int fd, const ResolvedAddress& address) {
  if (address.family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.family == AF_INET6) {
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 ||
      ::listen(fd, 1) != 0) {
    return errno;
  }
  return 0;
}

Opener::UnixNamespace NamespaceOf(const UnixAddress& address) {
  return address.abstract ? Opener::UnixNamespace::kAbstract : Opener::UnixNamespace::kPath;
}

Result<ListeningSocket> ListenUnix(Opener& opener, const UnixAddress& address) {
  ListeningSocket listening;
  listening.fd = TRY(opener.ListenUnix(address.path, NamespaceOf(address)));
  struct stat info {};
  if (!address.abstract && ::lstat(address.path.c_str(), &info) == 0) {
    listening.unlink_path = address.path;
    listening.device = info.st_dev;
    listening.inode = info.st_ino;
  }
  return listening;
}

// One socket per address the host name stands for (localhost: 127.0.0.1 and ::1), all on the port the first
// one got.
Result<std::vector<ListeningSocket>> ListenInet(const InetAddress& address) {
  std::vector<ResolvedAddress> candidates = TRY(ResolveTcp(address, true));
  std::vector<ListeningSocket> listening;
  const unsigned first = PortOf(candidates.front());
  const unsigned last = address.last_port > first ? address.last_port : first;
  int reason = EADDRNOTAVAIL;
  for (unsigned port = first; port <= last && listening.empty(); ++port) {
    for (ResolvedAddress& candidate : candidates) {
      SetPort(&candidate, Narrow<uint16_t>(port));
      ListeningSocket each;
      each.fd = NewSocket(candidate.family);
      const int failed = each.fd ? BindAndListen(each.fd.get(), candidate) : errno;
      if (failed == 0) {
        listening.push_back(std::move(each));
      } else {
        reason = failed;
      }
      if (port == 0) {
        break;  // the kernel chooses; a second socket would get another port
      }
    }
  }
  if (listening.empty()) {
    return FailErrno(reason, "cannot listen on {}:{}", address.host, address.port);
  }
  return listening;
}

Result<ListeningSocket> ListenInherited(const InheritedSocket& inherited) {
  int listens = 0;
  socklen_t length = sizeof(listens);
  if (::getsockopt(inherited.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0) {
    return FailErrno(errno, "fd={} is no socket", inherited.fd);
  }
  if (listens == 0) {
    return Fail(Errc::kInvalidArgument, "fd={} does not listen; use server=off for a connected socket",
                inherited.fd);
  }
  ListeningSocket listening;
  listening.fd.Reset(inherited.fd);
  return listening;
}

int ConnectWithin(int fd, const ResolvedAddress& address, int timeout_ms) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0) {
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

}  // namespace

Result<SocketAddress> AddressFromOptions(const SocketOptions& options) {
  const int kinds = (options.path ? 1 : 0) + (options.host || options.port ? 1 : 0) + (options.fd ? 1 : 0);
  if (kinds != 1) {
    return Fail(Errc::kInvalidArgument, "a socket needs one of path=, host= with port=, or fd=");
  }
  if (options.fd) {
    int fd = -1;
    const char* end = options.fd->data() + options.fd->size();
    const auto [stop, failure] = std::from_chars(options.fd->data(), end, fd);
    if (failure != std::errc() || stop != end || fd < 0) {
      return Fail(Errc::kInvalidArgument, "fd={} is no descriptor number", *options.fd);
    }
    return InheritedSocket{fd};
  }
  if (options.path) {
    if (options.path->empty()) {
      return Fail(Errc::kInvalidArgument, "path= is empty");
    }
    if (options.abstract_ && !options.tight) {
      return Fail(
          Errc::kUnsupported,
          "abstract names padded with zeroes (tight=off) are not supported; use tight=on on both sides");
    }
    return UnixAddress{*options.path, options.abstract_};
  }
  if (!options.port || options.port->empty()) {
    return Fail(Errc::kInvalidArgument, "a TCP socket needs port=");
  }
  if (!options.server && (!options.host || options.host->empty())) {
    return Fail(Errc::kInvalidArgument, "a TCP client needs host=");
  }
  if (options.to && !options.server) {
    return Fail(Errc::kInvalidArgument, "to= is for servers; a client connects to port= only");
  }
  InetAddress inet{options.host.value_or(""), *options.port, options.to.value_or(0)};
  // ipv4=on alone means only IPv4, and the other way round; both or none: either.
  inet.ipv4 = options.ipv4.value_or(!options.ipv6.value_or(false));
  inet.ipv6 = options.ipv6.value_or(!options.ipv4.value_or(false));
  if (!inet.ipv4 && !inet.ipv6) {
    return Fail(Errc::kInvalidArgument, "ipv4=off and ipv6=off leave no address; drop one of them");
  }
  return inet;
}

Result<std::vector<ResolvedAddress>> ResolveServer(const InetAddress& address) {
  return ResolveTcp(address, false);
}

Result<UniqueFd> ConnectUnix(Opener& opener, const UnixAddress& address) {
  return opener.ConnectUnix(address.path, NamespaceOf(address));
}

std::string Describe(const SocketAddress& address, bool server) {
  const char* suffix = server ? ",server=on" : "";
  if (const auto* name = std::get_if<UnixAddress>(&address)) {
    const char* kind = name->abstract ? ",abstract=on,tight=on" : "";
    return Format("unix:{}{}{}", name->path, kind, suffix);
  }
  if (const auto* inet = std::get_if<InetAddress>(&address)) {
    return Format("tcp:{}:{}{}", inet->host, inet->port, suffix);
  }
  return Format("fd:{}{}", std::get<InheritedSocket>(address).fd, suffix);
}

std::string EndpointText(int fd, bool peer) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  auto* name = reinterpret_cast<sockaddr*>(&storage);
  if ((peer ? ::getpeername(fd, name, &length) : ::getsockname(fd, name, &length)) != 0 ||
      (storage.ss_family != AF_INET && storage.ss_family != AF_INET6)) {
    return {};
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(name, length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  return storage.ss_family == AF_INET6 ? Format("[{}]:{}", host.data(), port.data())
                                       : Format("{}:{}", host.data(), port.data());
}

Result<std::vector<ListeningSocket>> Listen(Opener& opener, const SocketAddress& address) {
  if (const auto* inet = std::get_if<InetAddress>(&address)) {
    return ListenInet(*inet);
  }
  const auto* name = std::get_if<UnixAddress>(&address);
  ListeningSocket one =
      TRY(name != nullptr ? ListenUnix(opener, *name) : ListenInherited(std::get<InheritedSocket>(address)));
  std::vector<ListeningSocket> listening;
  listening.push_back(std::move(one));
  return listening;
}

Result<UniqueFd> ConnectNow(Opener& opener, const SocketAddress& address, int timeout_ms) {
  if (const auto* inherited = std::get_if<InheritedSocket>(&address)) {
    int kind = 0;
    socklen_t length = sizeof(kind);
    if (::getsockopt(inherited->fd, SOL_SOCKET, SO_TYPE, &kind, &length) != 0) {
      return FailErrno(errno, "fd={} is no socket", inherited->fd);
    }
    return UniqueFd(inherited->fd);
  }
  int reason = EADDRNOTAVAIL;
  if (const auto* name = std::get_if<UnixAddress>(&address)) {
    Result<UniqueFd> connected = ConnectUnix(opener, *name);
    if (connected) {
      return connected;
    }
    return tl::unexpected<Error>(Error{connected.error().code, connected.error().sys_errno,
                                       connected.error().message + kNoServerAdvice});
  }
  const std::vector<ResolvedAddress> candidates = TRY(ResolveServer(std::get<InetAddress>(address)));
  for (const ResolvedAddress& candidate : candidates) {
    UniqueFd fd = NewSocket(candidate.family);
    reason = fd ? ConnectWithin(fd.get(), candidate, timeout_ms) : errno;
    if (reason == 0) {
      return fd;
    }
  }
  return Fail(Errc::kIo, "cannot connect to {}: {}{}", Describe(address, false), ErrnoText(reason),
              kNoServerAdvice);
}

}  // namespace nandu
