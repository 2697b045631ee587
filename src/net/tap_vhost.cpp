// vhost=, vhostforce=, vhostfd(s)= and poll-us= of a tap, with QEMU 7.2's rules: what the host does not have
// is a warning and nandu serves the queue, unless vhostforce=on makes it an error.
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tap.h"
#include "net/tap_setup.h"

namespace nandu {
namespace {

// One descriptor of vhost-net per queue: inherited, or opened.
Result<std::vector<UniqueFd>> VhostDevices(Opener& opener, const TapOptions& options, size_t queues) {
  std::vector<UniqueFd> devices;
  if (!options.vhostfd && !options.vhostfds) {
    for (size_t i = 0; i < queues; ++i) {
      devices.push_back(TRY(VhostNet::OpenDevice(opener)));
    }
    return devices;
  }
  const std::vector<int> numbers =
      TRY(ParseDescriptorList(options.vhostfds ? *options.vhostfds : *options.vhostfd));
  if (numbers.size() != queues) {
    return Fail(Errc::kInvalidArgument, "there are {} vhost descriptors and {} queues; give one for each",
                numbers.size(), queues);
  }
  for (const int number : numbers) {
    const int flags = ::fcntl(number, F_GETFL);
    if (flags < 0 || ::fcntl(number, F_SETFL, flags | O_NONBLOCK) < 0 ||
        ::fcntl(number, F_SETFD, FD_CLOEXEC) < 0) {
      return FailErrno(errno, "vhost descriptor {}", number);
    }
    devices.emplace_back(number);
  }
  return devices;
}

}  // namespace

Result<> Tap::OpenVhost(Opener& opener, const TapOptions& options) {
  const bool inherited = options.vhostfd || options.vhostfds;
  const bool force = options.vhostforce.value_or(false);
  if (options.vhostfd && options.vhostfds) {
    return Fail(Errc::kInvalidArgument,
                "vhostfd= and vhostfds= exclude each other; use vhostfds=3:4 for several queues");
  }
  if (!options.vhost.value_or(inherited || force)) {
    if (inherited) {
      return Fail(Errc::kInvalidArgument, "vhostfd= and vhostfds= need vhost=on");
    }
    if (options.poll_us.value_or(0) != 0) {
      return Fail(Errc::kInvalidArgument, "poll-us= is how long vhost polls; add vhost=on, or drop it");
    }
    return {};
  }
  // A wrong list is a mistake of the command line, not of the host.
  Result<std::vector<UniqueFd>> devices = VhostDevices(opener, options, queues_.size());
  if (!devices && (force || devices.error().code == Errc::kInvalidArgument)) {
    return tl::unexpected<Error>(std::move(devices).error());
  }
  Result<> made;
  if (!devices) {
    made = tl::unexpected<Error>(std::move(devices).error());
  }
  for (size_t i = 0; made && i < queues_.size(); ++i) {
    Result<std::shared_ptr<VhostNet>> pair = VhostNet::Create(std::move((*devices)[i]), queues_[i].fd,
                                                              {vnet_header_, options.poll_us.value_or(0)});
    if (pair) {
      queues_[i].vhost = std::move(*pair);
    } else {
      made = tl::unexpected<Error>(std::move(pair).error());
    }
  }
  if (made) {
    return {};
  }
  for (Queue& queue : queues_) {
    queue.vhost = nullptr;
  }
  if (force) {
    return Prefix(std::move(made), "vhostforce=on");
  }
  Log(LogLevel::kWarning, "netdev '{}': vhost=on, but {}; nandu serves its queues itself", id_,
      made.error().message);
  return {};
}

std::shared_ptr<VhostPair> Tap::vhost(unsigned pair) {
  return pair < queues_.size() ? queues_[pair].vhost : nullptr;
}

}  // namespace nandu
