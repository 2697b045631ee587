// The shared half of a tap: what its queues have in common.
#include "net/tap.h"

#include <cerrno>
#include <climits>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "net/bridge_helper.h"
#include "net/packet_channel.h"
#include "net/tap_setup.h"

namespace nandu {
namespace {

constexpr unsigned kMaxQueues = 256;  // the kernel's MAX_TAP_QUEUES
constexpr const char* kDefaultScript = "/etc/qemu-ifup";
constexpr const char* kDefaultDownScript = "/etc/qemu-ifdown";
// linux/if_tun.h of 6.2 and later
constexpr unsigned kTunUso4 = 0x20;
constexpr unsigned kTunUso6 = 0x40;

unsigned OffloadBits(const NetOffloads& offloads) {
  unsigned bits = 0;
  bits |= offloads.csum ? TUN_F_CSUM : 0U;
  bits |= offloads.tso4 ? TUN_F_TSO4 : 0U;
  bits |= offloads.tso6 ? TUN_F_TSO6 : 0U;
  bits |= offloads.ecn ? TUN_F_TSO_ECN : 0U;
  bits |= offloads.ufo ? TUN_F_UFO : 0U;
  bits |= offloads.uso4 ? kTunUso4 : 0U;
  bits |= offloads.uso6 ? kTunUso6 : 0U;
  return bits;
}

// What runs for this option: empty for "no", or for a default that is not installed.
std::string ScriptFor(const std::optional<std::string>& option, const char* fallback) {
  if (option) {
    return *option == "no" ? std::string() : *option;
  }
  return ::access(fallback, X_OK) == 0 ? fallback : std::string();
}

}  // namespace

Tap::Tap(std::string id, std::string ifname, std::vector<Queue> queues, bool vnet_header)
    : id_(std::move(id)), ifname_(std::move(ifname)), vnet_header_(vnet_header), queues_(std::move(queues)) {
  ProbeOffloads();
}

Tap::~Tap() { ReleaseHost(); }

void Tap::ReleaseHost() {
  if (const std::string script = std::exchange(downscript_, {}); !script.empty()) {
    if (const Result<> ran = RunTapScript(script, ifname_); !ran) {
      Log(LogLevel::kWarning, "netdev '{}': {}", id_, ran.error().message);
    }
  }
}

Result<std::shared_ptr<Tap>> Tap::Open(Opener& opener, const std::string& id, const TapOptions& options) {
  if (options.br && !options.helper) {
    return Fail(Errc::kInvalidArgument, "br= goes with helper=; use -netdev bridge,br={}", *options.br);
  }
  std::shared_ptr<Tap> tap = TRY(options.helper              ? OpenByHelper(id, options)
                                 : options.fd || options.fds ? OpenInherited(id, options)
                                                             : OpenByName(opener, id, options));
  TRY(tap->OpenVhost(opener, options));
  return tap;
}

Result<std::shared_ptr<Tap>> Tap::OpenByName(Opener& opener, const std::string& id,
                                             const TapOptions& options) {
  const unsigned queues = options.queues.value_or(1);
  if (queues == 0 || queues > kMaxQueues) {
    return Fail(Errc::kInvalidArgument, "queues={} is out of range; 1 to {} are possible", queues,
                kMaxQueues);
  }
  const std::string script = ScriptFor(options.script, kDefaultScript);
  OpenedTap opened = TRY(OpenTapByName(opener, {options.ifname.value_or(""), queues, options.vnet_hdr}));
  std::vector<Queue> all;
  for (UniqueFd& fd : opened.fds) {
    // QEMU's default too: no bound of our own, the interface's queue drops what does not fit.
    const int bytes = options.sndbuf.value_or(0) == 0
                          ? INT_MAX
                          : static_cast<int>(std::min<uint64_t>(*options.sndbuf, INT_MAX));
    if (::ioctl(fd.get(), TUNSETSNDBUF, &bytes) != 0 && options.sndbuf) {
      return FailErrno(errno, "cannot set sndbuf={}", *options.sndbuf);
    }
    all.push_back({std::make_shared<UniqueFd>(std::move(fd)), nullptr, true});
  }
  if (!script.empty()) {
    TRY(RunTapScript(script, opened.ifname));
  }
  const std::shared_ptr<Tap> tap(new Tap(id, opened.ifname, std::move(all), opened.vnet_header));
  tap->downscript_ = ScriptFor(options.downscript, kDefaultDownScript);
  return tap;
}

Result<std::shared_ptr<Tap>> Tap::OpenInherited(const std::string& id, const TapOptions& options) {
  if (options.fd && options.fds) {
    return Fail(Errc::kInvalidArgument, "fd= and fds= exclude each other; use fds=3:4 for several queues");
  }
  if (options.ifname || options.script || options.downscript || options.queues || options.sndbuf) {
    return Fail(
        Errc::kInvalidArgument,
        "ifname=, script=, downscript=, queues= and sndbuf= do not go with an inherited tap; drop them");
  }
  const std::vector<int> numbers = TRY(ParseDescriptorList(options.fd ? *options.fd : *options.fds));
  if (options.fd && numbers.size() > 1) {
    return Fail(Errc::kInvalidArgument, "fd= takes one descriptor; use fds={}", *options.fd);
  }
  if (numbers.size() > kMaxQueues) {
    return Fail(Errc::kInvalidArgument, "{} descriptors are too many; a tap has at most {} queues",
                numbers.size(), kMaxQueues);
  }
  OpenedTap opened = TRY(AdoptTaps(numbers, options.vnet_hdr));
  std::vector<Queue> all;
  for (UniqueFd& fd : opened.fds) {
    all.push_back({std::make_shared<UniqueFd>(std::move(fd)), nullptr, true});
  }
  return std::shared_ptr<Tap>(new Tap(id, opened.ifname, std::move(all), opened.vnet_header));
}

Result<std::shared_ptr<Tap>> Tap::OpenByHelper(const std::string& id, const TapOptions& options) {
  if (options.fd || options.fds || options.ifname || options.script || options.downscript || options.queues ||
      options.vhostfds) {
    return Fail(Errc::kInvalidArgument,
                "fd=, fds=, ifname=, script=, downscript=, queues= and vhostfds= do not go with helper=; drop them");
  }
  UniqueFd made = TRY(TapFromHelper(*options.helper, options.br.value_or(kDefaultBridge)));
  OpenedTap opened = TRY(AdoptTaps({made.get()}, options.vnet_hdr));
  static_cast<void>(made.Release());  // it is the tap's now
  std::vector<Queue> one;
  one.push_back({std::make_shared<UniqueFd>(std::move(opened.fds.front())), nullptr, true});
  return std::shared_ptr<Tap>(new Tap(id, opened.ifname, std::move(one), opened.vnet_header));
}

// The kernel refuses a set with a bit it does not know, so each is tried; nothing is left on.
void Tap::ProbeOffloads() {
  if (!vnet_header_) {
    return;
  }
  const int fd = queues_.front().fd->get();
  const auto accepts = [fd](unsigned bits) { return ::ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | bits) == 0; };
  offloads_.csum = accepts(0);
  if (offloads_.csum) {
    offloads_.tso4 = accepts(TUN_F_TSO4);
    offloads_.tso6 = accepts(TUN_F_TSO6);
    offloads_.ecn = offloads_.tso4 && accepts(TUN_F_TSO4 | TUN_F_TSO_ECN);
    offloads_.ufo = accepts(TUN_F_UFO);
    offloads_.uso4 = accepts(kTunUso4 | kTunUso6);
    offloads_.uso6 = offloads_.uso4;
  }
  ::ioctl(fd, TUNSETOFFLOAD, 0U);
}

Result<> Tap::SetHeaderBytes(unsigned bytes) {
  if (!vnet_header_) {
    return {};
  }
  const int size = static_cast<int>(bytes);
  for (const Queue& queue : queues_) {
    if (::ioctl(queue.fd->get(), TUNSETVNETHDRSZ, &size) != 0) {
      return FailErrno(errno, "tap '{}': cannot set its vnet header to {} bytes", ifname_, bytes);
    }
  }
  return {};
}

Result<> Tap::SetOffloads(const NetOffloads& receive) {
  if (!vnet_header_) {
    return {};
  }
  // One setting for the interface, whichever of its attached queues it is made through.
  if (::ioctl(queues_.front().fd->get(), TUNSETOFFLOAD, OffloadBits(receive)) != 0) {
    return FailErrno(errno, "tap '{}': cannot set its offloads", ifname_);
  }
  return {};
}

Result<> Tap::SetActivePairs(unsigned pairs) {
  if (pairs == 0 || pairs > queues_.size()) {
    return Fail(Errc::kInvalidArgument, "tap '{}' has {} queues, not {}", ifname_, queues_.size(), pairs);
  }
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    const bool wanted = i < pairs;
    if (queue.attached == wanted) {
      continue;
    }
    ifreq request{};
    request.ifr_flags = static_cast<int16_t>(wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE);
    if (::ioctl(queue.fd->get(), TUNSETQUEUE, &request) != 0) {
      return FailErrno(errno, "tap '{}': cannot {} its queue {}", ifname_, wanted ? "attach" : "detach", i);
    }
    queue.attached = wanted;
  }
  return {};
}

Result<std::unique_ptr<NetChannel>> Tap::OpenChannel(unsigned pair, EventLoop& loop) {
  if (pair >= queues_.size()) {
    return Fail(Errc::kInvalidArgument, "tap '{}' has {} queues; there is no queue {}", ifname_,
                queues_.size(), pair);
  }
  return std::make_unique<PacketChannel>(loop, queues_[pair].fd);
}

}  // namespace nandu
