#include "qmp/commands/network.h"

#include <string>
#include <variant>

#include "qmp/registry.h"

namespace nandu {

// QMP's SocketAddress, as far as a network has one.
struct InetSocketAddress {
  std::string host;
  std::string port;
};
BOOST_DESCRIBE_STRUCT(InetSocketAddress, (), (host, port))
struct UnixSocketAddress {
  std::string path;
};
BOOST_DESCRIBE_STRUCT(UnixSocketAddress, (), (path))
struct FdSocketAddress {
  std::string str;
};
BOOST_DESCRIBE_STRUCT(FdSocketAddress, (), (str))
constexpr std::string_view TagValue(const InetSocketAddress* /*type*/) { return "inet"; }
constexpr std::string_view TagValue(const UnixSocketAddress* /*type*/) { return "unix"; }
constexpr std::string_view TagValue(const FdSocketAddress* /*type*/) { return "fd"; }

struct NetdevStreamConnected {
  std::string netdev_id;
  std::variant<InetSocketAddress, UnixSocketAddress, FdSocketAddress> addr;
};
BOOST_DESCRIBE_STRUCT(NetdevStreamConnected, (), (netdev_id, addr))
struct NetdevStreamDisconnected {
  std::string netdev_id;
};
BOOST_DESCRIBE_STRUCT(NetdevStreamDisconnected, (), (netdev_id))

void DeclareNetworkEvents(QmpRegistry& registry) {
  registry.DeclareEvent<NetdevStreamConnected>("NETDEV_STREAM_CONNECTED");
  registry.DeclareEvent<NetdevStreamDisconnected>("NETDEV_STREAM_DISCONNECTED");
}

}  // namespace nandu
