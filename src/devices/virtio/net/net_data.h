// The data half of a NIC: its queue pairs and its control queue. Lives on one I/O loop, takes no lock but the
// settings' leaf mutex, and has nothing in flight between two calls: frames are sent and received at once, so
// quiescing is immediate.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nandu/net.h>

#include "base/log.h"
#include "devices/virtio/net/net_control.h"
#include "devices/virtio/net/net_counters.h"
#include "devices/virtio/net/net_rx.h"
#include "devices/virtio/net/net_settings.h"
#include "devices/virtio/net/net_tx.h"
#include "devices/virtio/net/net_vhost.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

class NetData {
 public:
  // `failed`: the host's side does not do what was negotiated; the device needs a reset. Runs on the loop.
  NetData(EventLoop& loop, std::shared_ptr<NetBackend> backend,
          std::vector<std::unique_ptr<NetChannel>> channels, std::shared_ptr<NetSettings> settings,
          std::shared_ptr<NetVhost> vhost, UniqueFunction<void(const Error&)> failed);
  ~NetData();  // on the loop, quiesced
  NetData(const NetData&) = delete;
  NetData& operator=(const NetData&) = delete;

  void Activate(ActivateArgs args);
  void ActivateQueue(ActiveQueue queue);
  std::vector<QueueAtRest> Quiesce();
  std::optional<QueueAtRest> QuiesceQueue(unsigned index);
  void SettingsChanged();  // link, or a legacy driver's MAC

  NetCounters& counters() { return counters_; }  // any thread

 private:
  // A ring is in one place at a time: with rx or tx, or with the kernel.
  struct Pair {
    std::unique_ptr<NetChannel> channel;
    std::unique_ptr<NetRx> rx;
    std::unique_ptr<NetTx> tx;
    std::array<std::optional<ActiveQueue>, 2> kernel;
    std::array<Doorbell*, 2> doorbells{};
  };
  unsigned control_index() const;
  Result<> ConfigureBackend();
  void StartPairs();
  void ServeHere(ActiveQueue queue);
  void PlaceRings(unsigned pair);
  std::optional<QueueAtRest> TakeFromHere(unsigned index);
  void GiveToKernel(unsigned index);
  void RefusedByKernel(const Error& error);
  void ServeControl();
  uint8_t Command(DescChain& chain);
  Result<> Apply(NetControlEffect effect);

  EventLoop& loop_;
  const std::shared_ptr<NetBackend> backend_;
  const std::shared_ptr<NetSettings> settings_;
  const std::shared_ptr<NetVhost> vhost_;
  const UniqueFunction<void(const Error&)> failed_;
  NetCounters counters_;
  RateLimitedLog log_{"virtio-net"};
  std::vector<Pair> pairs_;
  NetState state_;  // this half's copy of the settings: what a frame is judged by
  NetFraming framing_;
  bool active_ = false;
  bool use_kernel_ = false;           // there is vhost, and it has refused nothing since the activation
  DmaSpace* dma_ = nullptr;           // while active
  std::vector<ActiveQueue> ignored_;  // enabled, but without a meaning: given back as they came
  std::optional<ActiveQueue> control_;
  std::unique_ptr<EventWatch> control_watch_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
