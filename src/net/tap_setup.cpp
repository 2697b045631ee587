// TUNSETIFF and its neighbours (linux/if_tun.h; drivers/net/tun.c says which errno means what).
#include "net/tap_setup.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

extern char** environ;

namespace nandu {
namespace {

constexpr const char* kTunDevice = "/dev/net/tun";

Result<UniqueFd> OpenTun(Opener& opener) {
  Result<UniqueFd> opened = opener.Open(kTunDevice, O_RDWR | O_NONBLOCK);
  if (opened) {
    return opened;
  }
  const int reason = opened.error().sys_errno;
  const char* advice = reason == ENOENT || reason == ENODEV
                           ? "load the tun module (modprobe tun)"
                           : "give this user access to it, or pass an open tap with fd=";
  return FailErrno(reason, "cannot open {} ({})", kTunDevice, advice);
}

bool Exists(const std::string& ifname) { return !ifname.empty() && ::if_nametoindex(ifname.c_str()) != 0; }

enum class QueueMode : uint8_t { kSingle, kMulti };

// 0, or TUNSETIFF's errno. Names the interface when the kernel chose it.
int Attach(int fd, bool vnet_header, QueueMode mode, std::string* ifname) {
  ifreq interface {};
  const int flags = IFF_TAP | IFF_NO_PI | (vnet_header ? IFF_VNET_HDR : 0) |
                    (mode == QueueMode::kMulti ? IFF_MULTI_QUEUE : 0);
  interface.ifr_flags = static_cast<int16_t>(flags);
  const std::string name = ifname->empty() ? "tap%d" : *ifname;
  std::memcpy(interface.ifr_name, name.c_str(), name.size());
  if (::ioctl(fd, TUNSETIFF, &interface) != 0) {
    return errno;
  }
  *ifname = interface.ifr_name;
  return 0;
}

tl::unexpected<Error> ExplainAttach(int reason, const std::string& ifname) {
  const std::string name = ifname.empty() ? "a new tap" : Format("tap '{}'", ifname);
  switch (reason) {
    case EBUSY:
      return Fail(Errc::kBusy,
                  "{} is in use by another process; stop that VM or choose another ifname=", name);
    case EPERM:
      if (Exists(ifname)) {
        return Fail(
            Errc::kPermission,
            "not permitted to use {}; it belongs to another user (ip tuntap add dev {} mode tap user USER)",
            name, ifname);
      }
      return Fail(Errc::kPermission,
                  "{} does not exist, and making it needs CAP_NET_ADMIN; make it first (ip tuntap add dev {} "
                  "mode tap "
                  "user USER)",
                  name, ifname.empty() ? "tap0" : ifname);
    case EINVAL:
      if (Exists(ifname)) {
        return Fail(Errc::kInvalidArgument,
                    "'{}' is an interface but no tap; choose another ifname=", ifname);
      }
      break;
    default: break;
  }
  return FailErrno(reason, "cannot attach to {}", name);
}

// The first queue. A tap that exists keeps the kind it was made with: one of several queues is opened as such
// for a single one too.
Result<QueueMode> AttachFirst(int fd, const TapRequest& request, bool vnet_header, std::string* ifname) {
  const QueueMode wanted = request.queues > 1 ? QueueMode::kMulti : QueueMode::kSingle;
  const QueueMode other = request.queues > 1 ? QueueMode::kSingle : QueueMode::kMulti;
  const int reason = Attach(fd, vnet_header, wanted, ifname);
  if (reason == 0) {
    return wanted;
  }
  if (reason != EINVAL || !Exists(*ifname) || Attach(fd, vnet_header, other, ifname) != 0) {
    return ExplainAttach(reason, *ifname);
  }
  if (other == QueueMode::kSingle) {
    return Fail(Errc::kInvalidArgument,
                "tap '{}' was made with one queue; use queues=1 or make it anew with multi_queue", *ifname);
  }
  return other;
}

}  // namespace

Result<OpenedTap> OpenTapByName(Opener& opener, const TapRequest& request) {
  if (request.ifname.size() >= IFNAMSIZ) {
    return Fail(Errc::kInvalidArgument, "ifname '{}' is longer than {} characters", request.ifname,
                IFNAMSIZ - 1);
  }
  if (request.ifname.find('/') != std::string::npos) {
    return Fail(Errc::kInvalidArgument, "ifname '{}' is no interface name", request.ifname);
  }
  OpenedTap tap;
  tap.ifname = request.ifname;
  QueueMode mode = QueueMode::kSingle;
  for (unsigned queue = 0; queue < request.queues; ++queue) {
    UniqueFd fd = TRY(OpenTun(opener));
    unsigned supported = 0;
    if (::ioctl(fd.get(), TUNGETFEATURES, &supported) != 0) {
      supported = 0;
    }
    const bool can_header = (supported & IFF_VNET_HDR) != 0;
    if (request.vnet_header.value_or(false) && !can_header) {
      return Fail(Errc::kUnsupported, "this kernel's tap has no vnet header; use vnet_hdr=off");
    }
    tap.vnet_header = request.vnet_header.value_or(can_header);
    if (queue == 0) {
      mode = TRY(AttachFirst(fd.get(), request, tap.vnet_header, &tap.ifname));
    } else if (const int reason = Attach(fd.get(), tap.vnet_header, mode, &tap.ifname); reason != 0) {
      return ExplainAttach(reason, tap.ifname);
    }
    tap.fds.push_back(std::move(fd));
  }
  return tap;
}

Result<OpenedTap> AdoptTaps(const std::vector<int>& fds, std::optional<bool> vnet_header) {
  OpenedTap tap;
  std::optional<int> kind;
  for (const int number : fds) {
    ifreq interface {};
    if (::ioctl(number, TUNGETIFF, &interface) != 0) {
      return FailErrno(errno, "fd={} is no tap", number);
    }
    const int flags = interface.ifr_flags & (IFF_TAP | IFF_VNET_HDR | IFF_NO_PI | IFF_MULTI_QUEUE);
    if ((flags & IFF_TAP) == 0) {
      return Fail(Errc::kInvalidArgument, "fd={} is a tun, not a tap", number);
    }
    if ((flags & IFF_NO_PI) == 0) {
      return Fail(Errc::kInvalidArgument,
                  "fd={} was opened with packet information; open the tap with IFF_NO_PI", number);
    }
    if (kind && *kind != flags) {
      return Fail(Errc::kInvalidArgument, "fd={} differs from the ones before in its vnet header or queues",
                  number);
    }
    if (fds.size() > 1 && (flags & IFF_MULTI_QUEUE) == 0) {
      return Fail(Errc::kInvalidArgument,
                  "fd={} has one queue; open the tap with IFF_MULTI_QUEUE to use several", number);
    }
    const int status = ::fcntl(number, F_GETFL);
    if (status < 0 || ::fcntl(number, F_SETFL, status | O_NONBLOCK) != 0 ||
        ::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) {
      return FailErrno(errno, "cannot make fd={} non-blocking", number);
    }
    kind = flags;
    tap.ifname = interface.ifr_name;
    tap.vnet_header = (flags & IFF_VNET_HDR) != 0;
  }
  if (vnet_header.value_or(tap.vnet_header) != tap.vnet_header) {
    return Fail(Errc::kInvalidArgument, "vnet_hdr={} does not match how the tap was opened; drop it",
                *vnet_header ? "on" : "off");
  }
  for (const int number : fds) {  // owned only now: on an error they stay the caller's
    tap.fds.emplace_back(number);
  }
  return tap;
}

Result<std::vector<int>> ParseDescriptorList(std::string_view text) {
  std::vector<int> fds;
  while (true) {
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string_view each = text.substr(0, colon);
    int fd = -1;
    const auto [stop, failure] = std::from_chars(each.data(), each.data() + each.size(), fd);
    if (failure != std::errc() || stop != each.data() + each.size() || fd < 0) {
      return Fail(Errc::kInvalidArgument, "'{}' is no descriptor number", each);
    }
    if (std::find(fds.begin(), fds.end(), fd) != fds.end()) {
      return Fail(Errc::kInvalidArgument, "descriptor {} is given twice", fd);
    }
    fds.push_back(fd);
    if (colon == text.size()) {
      return fds;
    }
    text.remove_prefix(colon + 1);
  }
}

Result<> RunTapScript(const std::string& program, const std::string& ifname) {
  std::string path = program;
  std::string name = ifname;
  std::array<char*, 3> arguments = {path.data(), name.data(), nullptr};
  pid_t child = 0;
  if (const int reason = ::posix_spawn(&child, path.c_str(), nullptr, nullptr, arguments.data(), environ);
      reason != 0) {
    return FailErrno(reason, "cannot run the network script {}; fix it, or use script=no,downscript=no",
                     program);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return FailErrno(errno, "cannot wait for the network script {}", program);
    }
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Fail(Errc::kIo,
                "the network script {} failed for {} with status {}; fix it, or use script=no,downscript=no",
                program, ifname, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  return {};
}

}  // namespace nandu
