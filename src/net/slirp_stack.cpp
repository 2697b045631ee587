// libslirp's callbacks and its place in a poll loop.
#include "net/slirp_stack.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/time.h"

namespace nandu {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

struct EventBit {
  int slirp;
  short poll;
};
constexpr EventBit kEventBits[] = {{SLIRP_POLL_IN, POLLIN},
                                   {SLIRP_POLL_OUT, POLLOUT},
                                   {SLIRP_POLL_PRI, POLLPRI},
                                   {SLIRP_POLL_ERR, POLLERR},
                                   {SLIRP_POLL_HUP, POLLHUP}};

sockaddr_in SocketAddress(in_addr address, uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = address;
  name.sin_port = htons(port);
  return name;
}

const sockaddr* Generic(const sockaddr_in& name) { return reinterpret_cast<const sockaddr*>(&name); }
const char* TextOrNull(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }
int FlagsOf(const HostForward& forward) { return forward.udp ? SLIRP_HOSTFWD_UDP : 0; }

std::string HostSideText(const HostForward& forward) {
  return Format("{}:{}:{}", forward.udp ? "udp" : "tcp",
                forward.host.s_addr == 0 ? std::string() : AddressText(forward.host), forward.host_port);
}

}  // namespace

struct SlirpStack::Callbacks {
  static SlirpStack& Self(void* opaque) { return *static_cast<SlirpStack*>(opaque); }

  static ssize_t Send(const void* frame, size_t bytes, void* opaque) {
    Self(opaque).to_guest_({static_cast<const uint8_t*>(frame), bytes});
    return static_cast<ssize_t>(bytes);
  }
  static void GuestError(const char* text, void* opaque) { Self(opaque).guest_log_.Warn("{}", text); }
  static int64_t Now(void* /*opaque*/) { return MonotonicNs(); }
  static void* NewTimer(SlirpTimerId id, void* timer_opaque, void* opaque) {
    std::vector<std::unique_ptr<Timer>>& timers = Self(opaque).timers_;
    timers.push_back(std::make_unique<Timer>(Timer{id, timer_opaque}));
    return timers.back().get();
  }
  static void FreeTimer(void* timer, void* opaque) {
    std::erase_if(Self(opaque).timers_, [timer](const std::unique_ptr<Timer>& each) { return each.get() == timer; });
  }
  static void SetTimer(void* timer, int64_t deadline_ms, void* /*opaque*/) {
    static_cast<Timer*>(timer)->deadline_ms = deadline_ms;
  }
  // Descriptors are asked for before each poll, and the only thread is the one that polls.
  static void IgnoreFd(int /*fd*/, void* /*opaque*/) {}
  static void IgnoreNotify(void* /*opaque*/) {}
  static void Completed(Slirp* slirp, void* opaque) { Self(opaque).slirp_ = slirp; }
};

Result<std::unique_ptr<SlirpStack>> SlirpStack::Create(const UserConfig& config, Output to_guest) {
  static constexpr SlirpCb kCallbacks = {
      .send_packet = Callbacks::Send,
      .guest_error = Callbacks::GuestError,
      .clock_get_ns = Callbacks::Now,
      .timer_new = nullptr,
      .timer_free = Callbacks::FreeTimer,
      .timer_mod = Callbacks::SetTimer,
      .register_poll_fd = Callbacks::IgnoreFd,
      .unregister_poll_fd = Callbacks::IgnoreFd,
      .notify = Callbacks::IgnoreNotify,
      .init_completed = Callbacks::Completed,
      .timer_new_opaque = Callbacks::NewTimer,
  };
  const SlirpModule* const library = TRY(OpenModule<SlirpModule>());
  std::vector<const char*> search;
  for (const std::string& domain : config.dns_search) {
    search.push_back(domain.c_str());
  }
  search.push_back(nullptr);
  SlirpConfig wanted{};
  wanted.version = 4;  // with timer_new_opaque
  wanted.restricted = config.restricted ? 1 : 0;
  wanted.in_enabled = config.ipv4;
  wanted.vnetwork = config.network;
  wanted.vnetmask = config.mask;
  wanted.vhost = config.host;
  wanted.in6_enabled = config.ipv6;
  wanted.vprefix_addr6 = config.prefix;
  wanted.vprefix_len = config.prefix_bits;
  wanted.vhost6 = config.host6;
  wanted.vhostname = TextOrNull(config.host_name);
  wanted.tftp_server_name = TextOrNull(config.tftp_server_name);
  wanted.tftp_path = TextOrNull(config.tftp_directory);
  wanted.bootfile = TextOrNull(config.boot_file);
  wanted.vdhcp_start = config.dhcp_start;
  wanted.vnameserver = config.dns;
  wanted.vnameserver6 = config.dns6;
  wanted.vdnssearch = search.size() > 1 ? search.data() : nullptr;
  wanted.vdomainname = TextOrNull(config.domain_name);
  std::unique_ptr<SlirpStack> stack(new SlirpStack(*library, std::move(to_guest)));
  stack->slirp_ = library->create(&wanted, &kCallbacks, stack.get());
  if (stack->slirp_ == nullptr) {
    return Fail(Errc::kInvalidArgument, "libslirp {} refuses these options", library->version_string());
  }
  return stack;
}

SlirpStack::~SlirpStack() {
  if (slirp_ != nullptr) {
    library_.cleanup(slirp_);
  }
}

void SlirpStack::Input(std::span<const uint8_t> frame) {
  library_.input(slirp_, frame.data(), static_cast<int>(frame.size()));
}

void SlirpStack::BeforePoll(std::vector<pollfd>* fds, int* timeout_ms) {
  uint32_t wait_ms = *timeout_ms < 0 ? UINT32_MAX : static_cast<uint32_t>(*timeout_ms);
  library_.pollfds_fill(
      slirp_, &wait_ms,
      [](int fd, int events, void* opaque) {
        auto* const list = static_cast<std::vector<pollfd>*>(opaque);
        short wanted = 0;
        for (const EventBit& bit : kEventBits) {
          wanted = static_cast<short>(wanted | ((events & bit.slirp) != 0 ? bit.poll : 0));
        }
        list->push_back({fd, wanted, 0});
        return static_cast<int>(list->size() - 1);
      },
      fds);
  const int64_t now_ms = MonotonicNs() / kNsPerMs;
  for (const std::unique_ptr<Timer>& timer : timers_) {
    if (timer->deadline_ms >= 0) {
      wait_ms = static_cast<uint32_t>(std::clamp<int64_t>(timer->deadline_ms - now_ms, 0, wait_ms));
    }
  }
  *timeout_ms = wait_ms == UINT32_MAX ? -1 : static_cast<int>(std::min<uint32_t>(wait_ms, INT_MAX));
}

void SlirpStack::AfterPoll(std::span<const pollfd> fds, bool failed) {
  library_.pollfds_poll(
      slirp_, failed ? 1 : 0,
      [](int index, void* opaque) {
        const short seen = (*static_cast<const std::span<const pollfd>*>(opaque))[static_cast<size_t>(index)].revents;
        int events = 0;
        for (const EventBit& bit : kEventBits) {
          events |= (seen & bit.poll) != 0 ? bit.slirp : 0;
        }
        return events;
      },
      &fds);
  RunTimers();
}

void SlirpStack::RunTimers() {
  const int64_t now_ms = MonotonicNs() / kNsPerMs;
  for (size_t i = 0; i < timers_.size(); ++i) {  // the list may change meanwhile
    Timer& timer = *timers_[i];
    if (timer.deadline_ms >= 0 && timer.deadline_ms <= now_ms) {
      timer.deadline_ms = -1;
      library_.handle_timer(slirp_, timer.id, timer.opaque);
    }
  }
}

Result<> SlirpStack::Add(const HostForward& forward) {
  const sockaddr_in host = SocketAddress(forward.host, forward.host_port);
  const sockaddr_in guest = SocketAddress(forward.guest, forward.guest_port);
  if (library_.add_hostxfwd(slirp_, Generic(host), sizeof(host), Generic(guest), sizeof(guest), FlagsOf(forward)) !=
      0) {
    return FailErrno(errno, "cannot forward {}; choose a host address and port that are free", HostSideText(forward));
  }
  return {};
}

Result<> SlirpStack::Remove(const HostForward& forward) {
  const sockaddr_in host = SocketAddress(forward.host, forward.host_port);
  if (library_.remove_hostxfwd(slirp_, Generic(host), sizeof(host), FlagsOf(forward)) != 0) {
    return Fail(Errc::kNotFound, "{} is not forwarded", HostSideText(forward));
  }
  return {};
}

namespace {

tl::unexpected<Error> RefusedForward(const GuestForward& forward) {
  return Fail(Errc::kInvalidArgument,
              "guestfwd= to {}:{} is not possible: the address is not in the network, is the host's or DNS's, or "
              "its port is taken",
              AddressText(forward.server), forward.port);
}

}  // namespace

Result<> SlirpStack::AddCommand(const GuestForward& forward) {
  in_addr server = forward.server;
  if (library_.add_exec(slirp_, forward.command.c_str(), &server, forward.port) != 0) {
    return RefusedForward(forward);
  }
  return {};
}

Result<> SlirpStack::AddPipe(GuestForward* forward, SlirpWriteCb write, void* opaque) {
  if (library_.add_guestfwd(slirp_, write, opaque, &forward->server, forward->port) != 0) {
    return RefusedForward(*forward);
  }
  return {};
}

size_t SlirpStack::PipeRoom(const GuestForward& forward) {
  return library_.socket_can_recv(slirp_, forward.server, forward.port);
}

void SlirpStack::PipeSend(const GuestForward& forward, std::span<const uint8_t> bytes) {
  library_.socket_recv(slirp_, forward.server, forward.port, bytes.data(), static_cast<int>(bytes.size()));
}

std::string SlirpStack::Connections() {
  const std::unique_ptr<char, decltype(&std::free)> text(library_.connection_info(slirp_), &std::free);
  return text.get();
}

}  // namespace nandu
