// The receive side of one queue pair: frames from the backend straight into guest memory. virtio 1.2, 5.1.6.3
// and 5.1.6.4. Lives on one I/O loop and takes no lock.
//
// Frames stay in the backend until the guest has buffers, so nothing is polled while it has none. A frame of
// unknown length is read into as many buffers as the longest one needs, and then into a spill page of our
// own: with mergeable buffers the rest of the frame waits there for more buffers; without them, a frame that
// does not fit its buffer is dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <nandu/net.h>

#include "devices/virtio/net/net_counters.h"
#include "devices/virtio/net/net_state.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

// What a driver's features mean for frames, the same for all pairs.
struct NetFraming {
  uint32_t header_bytes = net::kHeaderBytes;
  bool mergeable = false;
  bool backend_header = true;  // the backend's frames carry a header of header_bytes
  bool long_frames = false;    // the guest accepts segmented packets of 64 KiB
};

class NetRx {
 public:
  // `filter` and `counters` outlive it.
  NetRx(EventLoop& loop, ActiveQueue queue, NetChannel& channel, const NetFraming& framing,
        const NetState& filter, NetCounters& counters);
  ~NetRx();
  NetRx(const NetRx&) = delete;
  NetRx& operator=(const NetRx&) = delete;

  void Start();           // frames may come: the link is up and the pair is active
  void Stop();            // they stay in the backend
  void Serve();           // the guest kicked, or frames came
  QueueAtRest Release();  // stopped; buffers that were popped go back to the driver's side

 private:
  struct Buffer {
    DescChain chain;
    uint32_t bytes;  // of it in use by a frame
  };
  bool Refill();
  bool TakeBuffer();
  int64_t Receive();
  void Deliver(uint64_t bytes);
  bool FrameWanted(uint64_t bytes);
  void UseBuffer(uint64_t bytes);
  bool FinishSpill();
  void CompleteFrame();
  void PostServe();

  EventLoop& loop_;
  ActiveQueue queue_;
  NetChannel& channel_;
  const NetFraming framing_;
  const NetState& filter_;
  NetCounters& counters_;
  bool started_ = false;
  bool posted_ = false;

  std::deque<Buffer> stock_;  // popped, waiting for a frame
  uint64_t stock_bytes_ = 0;
  std::vector<iovec> iov_;  // of the stock, from iov_first_ on
  size_t iov_first_ = 0;
  std::vector<iovec> shifted_;  // the same without the header, for a backend that has none

  // A frame longer than the buffers there were: its first part lies in frame_, the rest in spill_.
  std::deque<Buffer> frame_;  // of the frame that is being delivered
  std::vector<std::byte> spill_;
  size_t spill_first_ = 0;
  size_t spill_bytes_ = 0;

  std::unique_ptr<EventWatch> watch_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
