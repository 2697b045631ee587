// -netdev stream: the guest's network is a stream socket to one peer, passt or another VM. The netdev listens or connects here, on the
// control loop; frames pass on the NIC's I/O loop (net/stream_channel.h). A server takes one client at a time and the next one when that
// is gone; a client connects at start and stays away once its server left, as in QEMU 7.2.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nandu/net.h>

#include "base/unique_fd.h"
#include "net/netdev_context.h"
#include "net/options.h"
#include "net/stream_channel.h"

namespace nandu {

class StreamNet final : public NetBackend, public std::enable_shared_from_this<StreamNet> {
 public:
  static Result<std::shared_ptr<NetBackend>> Open(const NetdevContext& context, const std::string& id,
                                                  const StreamOptions& options);
  ~StreamNet() override;  // as ReleaseHost

  bool connected() const { return peer_ != nullptr; }

  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "stream"; }
  unsigned queue_pairs() const override { return 1; }
  bool has_vnet_header() const override { return false; }
  NetOffloads offloads() const override { return {}; }
  Result<> SetHeaderBytes(unsigned /*bytes*/) override { return {}; }
  Result<> SetOffloads(const NetOffloads& /*receive*/) override { return {}; }
  Result<> SetActivePairs(unsigned pairs) override;
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& loop) override;
  void ReleaseHost() override;  // removes the socket's file, once

 private:
  struct Listener {
    UniqueFd fd;
    std::unique_ptr<FdWatch> watch;
  };
  StreamNet(std::string id, const NetdevContext& context) : id_(std::move(id)), context_(context) {}
  void Accept();
  void OnClient(int listener_fd);
  void SetPeer(UniqueFd fd, const boost::json::object& address);
  void HandOver();
  void OnGone(const std::shared_ptr<UniqueFd>& socket, const char* why);

  const std::string id_;
  const NetdevContext context_;
  std::vector<Listener> listeners_;
  std::string socket_path_;  // to remove; empty: none
  std::shared_ptr<UniqueFd> peer_;
  EventLoop* loop_ = nullptr;  // the NIC's, once it has opened the channel
  std::shared_ptr<StreamChannel::Door> door_;
};

}  // namespace nandu
