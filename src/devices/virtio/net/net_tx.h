// The transmit side of one queue pair: frames from guest memory to the backend. virtio 1.2, 5.1.6.2. Lives on
// one I/O loop and takes no lock. At most one frame waits for a backend that is busy; the rest stays in the
// ring.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <nandu/net.h>

#include "devices/virtio/net/net_counters.h"
#include "devices/virtio/net/net_rx.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

class NetTx {
 public:
  // `counters` outlive it.
  NetTx(EventLoop& loop, ActiveQueue queue, NetChannel& channel, const NetFraming& framing,
        NetCounters& counters);
  ~NetTx();
  NetTx(const NetTx&) = delete;
  NetTx& operator=(const NetTx&) = delete;

  void SetLink(bool up) { link_up_ = up; }  // down: frames are dropped
  void Serve();                             // the guest kicked, or the backend has room
  QueueAtRest Release();                    // a frame that waited goes back to the driver's side

 private:
  bool Send(const DescChain& chain);  // false: the backend is busy
  void PostServe();

  EventLoop& loop_;
  ActiveQueue queue_;
  NetChannel& channel_;
  const NetFraming framing_;
  NetCounters& counters_;
  bool link_up_ = true;
  bool busy_ = false;
  bool posted_ = false;
  std::optional<DescChain> waiting_;  // while busy
  std::vector<iovec> shifted_;        // a frame without its header, for a backend that has none
  std::unique_ptr<EventWatch> watch_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
