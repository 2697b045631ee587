// The tap backend: a host network interface whose frames are read and written through /dev/net/tun, one
// descriptor per queue pair. Linux Documentation/networking/tuntap.rst and linux/if_tun.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nandu/net.h>

#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "net/options.h"
#include "net/vhost_net.h"
#include "sandbox/opener.h"

namespace nandu {

class Tap final : public NetBackend {
 public:
  // By name (made when it does not exist, which needs CAP_NET_ADMIN) or from inherited descriptors.
  static Result<std::shared_ptr<Tap>> Open(Opener& opener, const std::string& id, const TapOptions& options);
  ~Tap() override;  // as ReleaseHost

  const std::string& ifname() const { return ifname_; }

  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "tap"; }
  unsigned queue_pairs() const override { return static_cast<unsigned>(queues_.size()); }
  bool has_vnet_header() const override { return vnet_header_; }
  NetOffloads offloads() const override { return offloads_; }
  Result<> SetHeaderBytes(unsigned bytes) override;
  Result<> SetOffloads(const NetOffloads& receive) override;
  Result<> SetActivePairs(unsigned pairs) override;
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& loop) override;
  std::shared_ptr<VhostPair> vhost(unsigned pair) override;
  void ReleaseHost() override;  // runs downscript, once

 private:
  struct Queue {
    std::shared_ptr<UniqueFd> fd;     // shared with its channel and with a poll that is still on its way
    std::shared_ptr<VhostNet> vhost;  // null: not asked for, or the host has none
    bool attached = true;
  };
  Tap(std::string id, std::string ifname, std::vector<Queue> queues, bool vnet_header);
  static Result<std::shared_ptr<Tap>> OpenByName(Opener& opener, const std::string& id,
                                                 const TapOptions& options);
  static Result<std::shared_ptr<Tap>> OpenInherited(const std::string& id, const TapOptions& options);
  static Result<std::shared_ptr<Tap>> OpenByHelper(const std::string& id, const TapOptions& options);
  void ProbeOffloads();
  Result<> OpenVhost(Opener& opener, const TapOptions& options);

  const std::string id_;
  const std::string ifname_;
  const bool vnet_header_;
  NetOffloads offloads_;
  std::string downscript_;  // empty: none
  Mutex mutex_;
  std::vector<Queue> queues_;  // the vector is fixed; `attached` under mutex_
};

}  // namespace nandu
