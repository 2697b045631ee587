// A network backend as a NIC sees it. Frames carry a virtio_net_hdr (virtio 1.2, 5.1.6) of `header_bytes` in front.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_function.h"

namespace nandu {

class EventLoop;
class VhostPair;

// What the host side can take over; a subset of the virtio-net feature bits of the same names.
struct NetOffloads {
  bool csum = false;  // frames with partial checksums
  bool tso4 = false;
  bool tso6 = false;
  bool ecn = false;
  bool ufo = false;
  bool uso4 = false;
  bool uso6 = false;
  bool operator==(const NetOffloads&) const = default;
};

// One queue pair. Lives on one I/O loop; everything below is called there.
class NetChannel {
 public:
  NetChannel() = default;
  NetChannel(const NetChannel&) = delete;
  NetChannel& operator=(const NetChannel&) = delete;
  virtual ~NetChannel() = default;

  enum class SendResult : uint8_t { kSent, kBusy, kDropped };  // kBusy: nothing was sent, wait for OnWritable
  virtual SendResult Send(std::span<const iovec> frame) = 0;   // header and frame; copied or sent before it returns
  virtual void NotifyWritable(UniqueFunction<void()> on_writable) = 0;  // once, after kBusy; null: no more

  // Frames for the guest. The sink fills guest memory itself: `receive` reads one frame into the iovecs it is given and
  // returns its bytes, 0 when there is none now, negative -errno. The NIC calls Receive when it has buffers;
  // on_readable runs when frames may be there again after Receive answered 0.
  virtual int64_t Receive(std::span<const iovec> into) = 0;
  virtual void StartRx(UniqueFunction<void()> on_readable) = 0;
  virtual void StopRx() = 0;
};

// Shared; control loop unless said otherwise.
class NetBackend {
 public:
  NetBackend() = default;
  NetBackend(const NetBackend&) = delete;
  NetBackend& operator=(const NetBackend&) = delete;
  virtual ~NetBackend() = default;

  virtual const std::string& id() const = 0;
  virtual std::string_view type() const = 0;  // "tap"
  virtual unsigned queue_pairs() const = 0;
  virtual bool has_vnet_header() const = 0;   // false: frames without virtio_net_hdr only; the NIC must not offer offloads
  virtual NetOffloads offloads() const = 0;   // what SetOffloads accepts
  virtual Result<> SetHeaderBytes(unsigned bytes) = 0;             // 10 or 12; before channels are opened and on feature changes
  virtual Result<> SetOffloads(const NetOffloads& receive) = 0;    // what the guest can receive; any thread
  virtual Result<> SetActivePairs(unsigned pairs) = 0;             // the others are detached; any thread
  virtual Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& loop) = 0;
  // The same pair as the kernel can serve it; null where it does not. The NIC uses one of the two at a time.
  virtual std::shared_ptr<VhostPair> vhost(unsigned /*pair*/) { return nullptr; }
  // Gives back what would outlive the process, as the destructor does: for a process that ends without taking its VM apart. Nothing
  // else may be called afterwards.
  virtual void ReleaseHost() {}
};

}  // namespace nandu
