#include "net/stream.h"

#include <boost/json/object.hpp>
#include <sys/socket.h>

#include "base/log.h"
#include "net/endpoint.h"

namespace nandu {
namespace {

constexpr int kConnectTimeoutMs = 5000;

}  // namespace

Result<std::shared_ptr<NetBackend>> StreamNet::Open(const NetdevContext& context, const std::string& id,
                                                    const StreamOptions& options) {
  if (!options.addr) {
    return Fail(Errc::kInvalidArgument,
                "it needs addr.type=inet with addr.host= and addr.port=, addr.type=unix with addr.path=, or "
                "addr.type=fd with addr.str=");
  }
  std::shared_ptr<StreamNet> net(new StreamNet(id, context));
  if (options.server) {
    std::vector<UniqueFd> listening = TRY(ListenAt(context.opener, *options.addr));
    for (UniqueFd& fd : listening) {
      std::unique_ptr<FdWatch> watch = context.control->WatchFd(fd.get());
      net->listeners_.push_back({std::move(fd), std::move(watch)});
    }
    if (const auto* name = std::get_if<UnixEndpoint>(&*options.addr); name != nullptr && !name->abstract) {
      net->socket_path_ = name->path;
    }
    net->Accept();
  } else {
    UniqueFd fd = TRY(ConnectTo(context.opener, *options.addr, kConnectTimeoutMs));
    net->SetPeer(std::move(fd), EndpointJson(*options.addr));
  }
  return std::shared_ptr<NetBackend>(net);
}

StreamNet::~StreamNet() { ReleaseHost(); }

void StreamNet::ReleaseHost() {
  if (const std::string path = std::exchange(socket_path_, {}); !path.empty()) {
    if (const Result<> removed = context_.opener.Remove(path); !removed) {
      Log(LogLevel::kWarning, "netdev '{}': {}", id_, removed.error().message);
    }
  }
}

// Waits for the next client.
void StreamNet::Accept() {
  for (Listener& listener : listeners_) {
    listener.watch->WaitReadable([this, fd = listener.fd.get()] { OnClient(fd); });
  }
}

void StreamNet::OnClient(int listener_fd) {
  UniqueFd fd(::accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    Accept();  // it went away again
    return;
  }
  for (Listener& listener : listeners_) {
    listener.watch->CancelReadable();
  }
  const boost::json::object address = PeerJson(fd.get());
  SetPeer(std::move(fd), address);
}

void StreamNet::SetPeer(UniqueFd fd, const boost::json::object& address) {
  peer_ = std::make_shared<UniqueFd>(std::move(fd));
  HandOver();
  if (context_.emit) {
    context_.emit("NETDEV_STREAM_CONNECTED", {{"netdev-id", id_}, {"addr", address}});
  }
}

void StreamNet::HandOver() {
  if (loop_ != nullptr && peer_) {
    loop_->Post([door = door_, peer = peer_] {
      if (door->channel != nullptr) {
        door->channel->Connect(peer);
      }
    });
  }
}

void StreamNet::OnGone(const std::shared_ptr<UniqueFd>& socket, const char* why) {
  if (socket != peer_) {
    return;
  }
  peer_ = nullptr;
  Log(LogLevel::kWarning, "netdev '{}' is disconnected: {}", id_, why);
  if (context_.emit) {
    context_.emit("NETDEV_STREAM_DISCONNECTED", {{"netdev-id", id_}});
  }
  Accept();
}

Result<> StreamNet::SetActivePairs(unsigned pairs) {
  if (pairs != 1) {
    return Fail(Errc::kInvalidArgument, "netdev '{}' has one queue pair, not {}", id_, pairs);
  }
  return {};
}

Result<std::unique_ptr<NetChannel>> StreamNet::OpenChannel(unsigned pair, EventLoop& loop) {
  TRY(SetActivePairs(pair + 1));
  loop_ = &loop;
  door_ = std::make_shared<StreamChannel::Door>();
  auto gone = [weak = weak_from_this(), control = context_.control](const std::shared_ptr<UniqueFd>& socket,
                                                                     const char* why) {
    control->Post([weak, socket, why] {
      if (const std::shared_ptr<StreamNet> net = weak.lock()) {
        net->OnGone(socket, why);
      }
    });
  };
  auto channel = std::make_unique<StreamChannel>(loop, door_, std::move(gone));
  HandOver();
  return channel;
}

}  // namespace nandu
