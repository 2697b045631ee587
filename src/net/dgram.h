// -netdev dgram and socket: a frame is a datagram (UDP, unix, a multicast group, an inherited socket), sent to one peer or to a group.
// Control loop unless said otherwise.
#pragma once

#include <memory>
#include <string>

#include <nandu/net.h>

#include "base/unique_fd.h"
#include "net/netdev_context.h"
#include "net/options.h"
#include "net/packet_channel.h"

namespace nandu {

class DgramNet final : public NetBackend {
 public:
  static Result<std::shared_ptr<NetBackend>> Open(const NetdevContext& context, const std::string& id,
                                                  const DgramOptions& options);
  ~DgramNet() override;  // as ReleaseHost

  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "dgram"; }
  unsigned queue_pairs() const override { return 1; }
  bool has_vnet_header() const override { return false; }
  NetOffloads offloads() const override { return {}; }
  Result<> SetHeaderBytes(unsigned /*bytes*/) override { return {}; }
  Result<> SetOffloads(const NetOffloads& /*receive*/) override { return {}; }
  Result<> SetActivePairs(unsigned pairs) override;
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& loop) override;
  void ReleaseHost() override;  // removes the socket's file, once

 private:
  DgramNet(std::string id, Opener& opener) : id_(std::move(id)), opener_(opener) {}

  const std::string id_;
  Opener& opener_;
  std::shared_ptr<UniqueFd> socket_;
  PacketDestination peer_;
  std::string socket_path_;  // to remove; empty: none
};

// -netdev socket: the older spelling of stream and dgram.
Result<std::shared_ptr<NetBackend>> OpenSocketNet(const NetdevContext& context, const std::string& id,
                                                  const SocketNetOptions& options);

}  // namespace nandu
