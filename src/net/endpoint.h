// Sockets of network backends: from what the options say to bound or connected sockets, non-blocking and close-on-exec. Set-up only: a name
// service and a connection may take their time. socket(7), ip(7), unix(7), getaddrinfo(3).
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/options.h"
#include "net/packet_channel.h"
#include "sandbox/opener.h"

namespace nandu {

std::string EndpointName(const Endpoint& endpoint);          // "tcp:host:port", "unix:path", "fd:3"
boost::json::object EndpointJson(const Endpoint& endpoint);  // as QMP's SocketAddress
boost::json::object PeerJson(int fd);                        // the same of who is at the other end

Result<std::vector<UniqueFd>> ListenAt(Opener& opener, const Endpoint& endpoint);  // never empty
Result<UniqueFd> ConnectTo(Opener& opener, const Endpoint& endpoint, int timeout_ms);
// Of an inherited descriptor; made non-blocking. `kind` is SOCK_STREAM or SOCK_DGRAM.
Result<UniqueFd> AdoptSocket(const FdEndpoint& endpoint, int kind);
bool AdoptsAs(const FdEndpoint& endpoint, int kind);  // whether it is a socket of that kind

// An inet or unix address for datagrams.
Result<PacketDestination> ResolveDatagram(const Endpoint& endpoint);
bool IsMulticast(const PacketDestination& address);  // of IPv4
// A bound datagram socket. A socket file in the way is replaced.
Result<UniqueFd> BindDatagram(Opener& opener, const Endpoint& endpoint);
// Bound to a group's port and joined to it, on the interface that has `local` (empty: the kernel's choice).
Result<UniqueFd> JoinGroup(const PacketDestination& group, const std::string& local);

// "[host]:port" and "host:port" of the older options; IPv6 addresses in brackets.
Result<InetEndpoint> ParseHostPort(std::string_view option, const std::string& text);

}  // namespace nandu
