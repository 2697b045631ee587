// The socket backend: unix and TCP, server and client. One client at a time; more wait in the listening
// socket's backlog. A server goes back to listening when its client leaves, a client with reconnect= tries
// again.
#include "chardev/socket_chardev.h"

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/backends.h"
#include "chardev/fd_chardev.h"

namespace nandu {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int kConnectTimeoutMs = 5000;  // set-up only

Result<> RefuseUnsupported(const SocketOptions& options) {
  if (options.telnet || options.tn3270 || options.websocket) {
    return Fail(Errc::kUnsupported,
                "telnet, tn3270 and websocket framing is not spoken; connect with a raw TCP or unix client");
  }
  if (options.tls_creds || options.tls_authz) {
    return Fail(Errc::kUnsupported, "TLS on chardevs is not spoken; use a unix socket or an SSH tunnel");
  }
  if (options.wait && !options.server) {
    return Fail(Errc::kInvalidArgument, "wait= is for servers; add server=on or drop it");
  }
  if (options.reconnect != 0 && (options.server || options.fd)) {
    return Fail(Errc::kInvalidArgument, "reconnect= is for clients with an address; drop it");
  }
  return {};
}

}  // namespace

SocketChardev::SocketChardev(ControlLoop& control, Opener& opener, std::string id, Config config)
    : ChardevBase(control, std::move(id)),
      opener_(opener),
      config_(std::move(config)),
      timer_(control.CreateHostTimer([this] { OnTimer(); })) {
  IgnoreBrokenPipeSignal();
}

SocketChardev::~SocketChardev() { ReleaseHost(); }

void SocketChardev::ReleaseHost() {
  for (const ListeningSocket& listening : listening_) {
    struct stat info {};
    if (!listening.unlink_path.empty() && ::lstat(listening.unlink_path.c_str(), &info) == 0 &&
        info.st_dev == listening.device && info.st_ino == listening.inode) {
      static_cast<void>(opener_.Remove(listening.unlink_path));
    }
  }
}

void SocketChardev::StartListening(std::vector<ListeningSocket> listening) {
  listening_ = std::move(listening);
  for (const ListeningSocket& each : listening_) {
    accept_watches_.push_back(loop().WatchFd(each.fd.get()));
  }
  WaitForClient();
}

void SocketChardev::StartConnecting() { Connect(); }

std::string SocketChardev::filename() const {
  std::string text = Describe(config_.address, config_.server);
  const auto* inet = std::get_if<InetAddress>(&config_.address);
  if (inet != nullptr && !listening_.empty()) {
    text = Format("tcp:{},server=on",
                  EndpointText(listening_.front().fd.get(), false));  // the port it really got
  }
  if (!stream_) {
    return "disconnected:" + text;
  }
  const std::string peer = EndpointText(client_.get(), true);
  return peer.empty() ? text : Format("{} <-> {}", text, peer);
}

bool SocketChardev::waits_for_client() const { return config_.wait && clients_ == 0; }

void SocketChardev::NotifyFirstClient(UniqueFunction<void()> on_client) {
  if (waits_for_client()) {
    on_first_client_ = std::move(on_client);
  } else {
    on_client();
  }
}

void SocketChardev::NotifyWritable(UniqueFunction<void()> on_writable) {
  if (stream_) {
    stream_->NotifyWritable(std::move(on_writable));
  } else {
    PostSafely(std::move(on_writable));
  }
}

size_t SocketChardev::WriteBytes(std::span<const std::byte> bytes) {
  return stream_ ? stream_->Write(bytes) : bytes.size();
}

void SocketChardev::InputWanted() {
  if (stream_) {
    stream_->Pump();
    WatchForHangup();
  }
}

void SocketChardev::CancelWritable() {
  if (stream_) {
    stream_->CancelWritable();
  }
}

// From the loop: the front end may be in the middle of what this client sent.
void SocketChardev::DropPeer() {
  PostSafely([this, client = clients_] {
    if (client == clients_) {
      ClientLeft();
    }
  });
}

// ---- server ----
void SocketChardev::WaitForClient() {
  for (size_t i = 0; i < listening_.size(); ++i) {
    accept_watches_[i]->WaitReadable([this, i] { Accept(i); });
  }
}

void SocketChardev::Accept(size_t index) {
  UniqueFd client(::accept4(listening_[index].fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (client) {
    for (const std::unique_ptr<FdWatch>& watch : accept_watches_) {
      watch->CancelReadable();
    }
    UseClient(std::move(client));
    return;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    log().Warn("cannot accept a client: {}; trying again every second", ErrnoText(errno));
    timer_->ArmAfter(kSecondNs);
    return;
  }
  WaitForClient();  // it left before it was served
}

// ---- client ----
void SocketChardev::Connect() {
  if (const auto* name = std::get_if<UnixAddress>(&config_.address)) {
    if (Result<UniqueFd> connected = ConnectUnix(opener_, *name)) {
      UseClient(std::move(*connected));
    } else {
      timer_->ArmAfter(int64_t{config_.reconnect_s} * kSecondNs);
    }
    return;
  }
  // A name service may take its time, so it is asked on a worker.
  auto found = std::make_shared<std::vector<ResolvedAddress>>();
  loop().RunBlocking(
      [found, address = std::get<InetAddress>(config_.address)] {
        *found = ResolveServer(address).value_or(std::vector<ResolvedAddress>{});
      },
      [this, found, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) {
          candidates_ = std::move(*found);
          TryNextCandidate();
        }
      });
}

void SocketChardev::TryNextCandidate() {
  connect_watch_.reset();
  while (!candidates_.empty()) {
    const ResolvedAddress candidate = candidates_.front();
    candidates_.erase(candidates_.begin());
    client_.Reset(::socket(candidate.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!client_) {
      continue;
    }
    if (::connect(client_.get(), reinterpret_cast<const sockaddr*>(&candidate.storage), candidate.length) ==
        0) {
      UseClient(std::move(client_));
      return;
    }
    if (errno == EINPROGRESS) {
      connect_watch_ = loop().WatchFd(client_.get());
      connect_watch_->WaitWritable([this] { OnConnected(); });
      return;
    }
  }
  client_.Reset();
  timer_->ArmAfter(int64_t{config_.reconnect_s} * kSecondNs);
}

void SocketChardev::OnConnected() {
  int reason = 0;
  socklen_t length = sizeof(reason);
  if (::getsockopt(client_.get(), SOL_SOCKET, SO_ERROR, &reason, &length) == 0 && reason == 0) {
    connect_watch_.reset();
    UseClient(std::move(client_));
    return;
  }
  TryNextCandidate();
}

// ---- both ----
void SocketChardev::UseClient(UniqueFd client) {
  client_ = std::move(client);
  if (config_.nodelay) {
    const int on = 1;
    ::setsockopt(client_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  stream_.emplace(loop(), client_.get(), client_.get(),
                  FdStream::Handlers{.room = [this] { return Room(); },
                                     .data =
                                         [this](std::span<const std::byte> bytes) {
                                           Deliver(bytes);
                                           WatchForHangup();
                                         },
                                     .input_ended = [this] { ClientLeft(); },
                                     .output_broken = [this] { ClientLeft(); }});
  ++clients_;
  SetConnected(true);
  InputWanted();
  if (UniqueFunction<void()> on_client = std::exchange(on_first_client_, nullptr)) {
    on_client();
  }
}

void SocketChardev::ClientLeft() {
  if (!stream_) {
    return;
  }
  stream_.reset();
  client_.Reset();
  timer_->Cancel();
  SetConnected(false);
  if (stream_) {
    return;  // the front end's callback made a new connection
  }
  if (config_.server) {
    WaitForClient();
  } else if (config_.reconnect_s != 0) {
    timer_->ArmAfter(int64_t{config_.reconnect_s} * kSecondNs);
  }
}

// While the front end takes nothing, nothing is read, so nobody would see a client leave and the next one
// could not come.
void SocketChardev::WatchForHangup() {
  if (stream_ && Room() == 0) {
    timer_->ArmAfter(kSecondNs);
  }
}

void SocketChardev::OnTimer() {
  if (stream_) {
    pollfd look{client_.get(), POLLRDHUP, 0};
    if (::poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0 && Room() == 0) {
      ClientLeft();
    } else {
      WatchForHangup();
    }
  } else if (config_.server) {
    WaitForClient();
  } else {
    Connect();
  }
}

Result<std::unique_ptr<ChardevBase>> CreateSocketChardev(const ChardevContext& context, std::string id,
                                                         const SocketOptions& options) {
  const std::string what = Format("chardev '{}'", id);
  TRY(Prefix(RefuseUnsupported(options), what));
  SocketChardev::Config config;
  config.address = TRY(Prefix(AddressFromOptions(options), what));
  config.server = options.server;
  config.wait = options.server && options.wait.value_or(true);
  config.nodelay = std::holds_alternative<InetAddress>(config.address) && (options.nodelay || !options.delay);
  config.reconnect_s = options.reconnect;
  const SocketAddress address = config.address;
  if (options.server) {
    std::vector<ListeningSocket> listening = TRY(Prefix(Listen(context.opener, address), what));
    for (const ListeningSocket& each : listening) {  // an inherited one comes as its maker left it
      ::fcntl(each.fd.get(), F_SETFD, FD_CLOEXEC);
      ::fcntl(each.fd.get(), F_SETFL, ::fcntl(each.fd.get(), F_GETFL) | O_NONBLOCK);
    }
    auto socket =
        std::make_unique<SocketChardev>(context.loop, context.opener, std::move(id), std::move(config));
    socket->StartListening(std::move(listening));
    return socket;
  }
  if (options.reconnect != 0) {
    auto socket =
        std::make_unique<SocketChardev>(context.loop, context.opener, std::move(id), std::move(config));
    socket->StartConnecting();
    return socket;
  }
  UniqueFd client = TRY(Prefix(ConnectNow(context.opener, address, kConnectTimeoutMs), what));
  ::fcntl(client.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(client.get(), F_SETFL, ::fcntl(client.get(), F_GETFL) | O_NONBLOCK);
  auto socket =
      std::make_unique<SocketChardev>(context.loop, context.opener, std::move(id), std::move(config));
  socket->UseClient(std::move(client));
  return socket;
}

}  // namespace nandu
