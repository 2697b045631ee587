#include "net/dgram.h"

#include <sys/socket.h>

#include "base/log.h"
#include "net/endpoint.h"
#include "net/stream.h"

namespace nandu {
namespace {

Result<UniqueFd> OpenGroup(const PacketDestination& group, const std::optional<Endpoint>& local) {
  if (!local) {
    return JoinGroup(group, {});
  }
  if (const auto* fd = std::get_if<FdEndpoint>(&*local)) {
    return AdoptSocket(*fd, SOCK_DGRAM);
  }
  const auto* const inet = std::get_if<InetEndpoint>(&*local);
  if (inet == nullptr || !inet->port.empty()) {
    return Fail(Errc::kInvalidArgument,
                "with a multicast group, local= names the interface: local.type=inet,local.host=ADDRESS");
  }
  return JoinGroup(group, inet->host);
}

}  // namespace

Result<std::shared_ptr<NetBackend>> DgramNet::Open(const NetdevContext& context, const std::string& id,
                                                   const DgramOptions& options) {
  std::shared_ptr<DgramNet> net(new DgramNet(id, context.opener));
  if (options.remote) {
    net->peer_ = TRY(ResolveDatagram(*options.remote));
  }
  UniqueFd fd;
  if (options.remote && IsMulticast(net->peer_)) {
    fd = TRY(OpenGroup(net->peer_, options.local));
  } else if (!options.local) {
    return Fail(Errc::kInvalidArgument, "it needs local=, where it receives, or a multicast group as remote=");
  } else {
    const bool inherited = std::holds_alternative<FdEndpoint>(*options.local);
    if (!inherited && !options.remote) {
      return Fail(Errc::kInvalidArgument, "it needs remote=, where frames go; remote.type= is that of local.type=");
    }
    if (inherited && options.remote) {
      return Fail(Errc::kInvalidArgument, "an inherited socket is connected already; drop remote=");
    }
    if (!inherited && options.local->index() != options.remote->index()) {
      return Fail(Errc::kInvalidArgument, "local.type= and remote.type= differ; they must be the same");
    }
    fd = TRY(BindDatagram(context.opener, *options.local));
    if (const auto* name = std::get_if<UnixEndpoint>(&*options.local); name != nullptr && !name->abstract) {
      net->socket_path_ = name->path;
    }
  }
  net->socket_ = std::make_shared<UniqueFd>(std::move(fd));
  return std::shared_ptr<NetBackend>(net);
}

DgramNet::~DgramNet() { ReleaseHost(); }

void DgramNet::ReleaseHost() {
  if (const std::string path = std::exchange(socket_path_, {}); !path.empty()) {
    if (const Result<> removed = opener_.Remove(path); !removed) {
      Log(LogLevel::kWarning, "netdev '{}': {}", id_, removed.error().message);
    }
  }
}

Result<> DgramNet::SetActivePairs(unsigned pairs) {
  if (pairs != 1) {
    return Fail(Errc::kInvalidArgument, "netdev '{}' has one queue pair, not {}", id_, pairs);
  }
  return {};
}

Result<std::unique_ptr<NetChannel>> DgramNet::OpenChannel(unsigned pair, EventLoop& loop) {
  TRY(SetActivePairs(pair + 1));
  return std::make_unique<PacketChannel>(loop, socket_, peer_);
}

Result<std::shared_ptr<NetBackend>> OpenSocketNet(const NetdevContext& context, const std::string& id,
                                                  const SocketNetOptions& options) {
  const int kinds = (options.fd ? 1 : 0) + (options.listen ? 1 : 0) + (options.connect ? 1 : 0) +
                    (options.mcast ? 1 : 0) + (options.udp ? 1 : 0);
  if (kinds != 1) {
    return Fail(Errc::kInvalidArgument, "it needs one of listen=, connect=, mcast=, udp= and fd=");
  }
  if (options.localaddr && !options.mcast && !options.udp) {
    return Fail(Errc::kInvalidArgument, "localaddr= goes with mcast= or udp=; drop it");
  }
  if (options.listen) {
    return StreamNet::Open(context, id, {TRY(ParseHostPort("listen", *options.listen)), true});
  }
  if (options.connect) {
    return StreamNet::Open(context, id, {TRY(ParseHostPort("connect", *options.connect)), false});
  }
  if (options.fd) {
    const FdEndpoint fd{*options.fd};
    if (AdoptsAs(fd, SOCK_DGRAM)) {
      return DgramNet::Open(context, id, {fd, std::nullopt});
    }
    return StreamNet::Open(context, id, {fd, false});
  }
  if (options.mcast) {
    DgramOptions group;
    group.remote = TRY(ParseHostPort("mcast", *options.mcast));
    const PacketDestination address = TRY(ResolveDatagram(*group.remote));
    if (!IsMulticast(address)) {
      return Fail(Errc::kInvalidArgument, "mcast={} is no multicast group; use 224.0.0.0 to 239.255.255.255",
                  *options.mcast);
    }
    if (options.localaddr) {
      group.local = InetEndpoint{*options.localaddr, {}, {}, {}, {}, {}, {}, {}};
    }
    return DgramNet::Open(context, id, group);
  }
  if (!options.localaddr) {
    return Fail(Errc::kInvalidArgument, "udp= needs localaddr=HOST:PORT, where it receives");
  }
  return DgramNet::Open(context, id,
                        {TRY(ParseHostPort("localaddr", *options.localaddr)), TRY(ParseHostPort("udp", *options.udp))});
}

}  // namespace nandu
