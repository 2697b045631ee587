// Frames into guest memory.
#include "devices/virtio/net/net_rx.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checked.h"
#include "devices/virtio/net/net_filter.h"

namespace nandu {
namespace {

constexpr unsigned kFramesPerTurn = 64;           // then other queues of the loop get theirs
constexpr uint64_t kShortFrameBytes = 16 * 1024;  // what is set aside without segmentation: a jumbo frame
constexpr size_t kMaxIovecs = 900;                // below IOV_MAX with a chain and the spill page to come

// Copies up to out.size() bytes from byte `offset` of the iovecs on; returns how many there were.
size_t CopyOut(std::span<const iovec> iov, uint64_t offset, std::span<uint8_t> out) {
  size_t copied = 0;
  for (const iovec& each : iov) {
    if (offset >= each.iov_len) {
      offset -= each.iov_len;
      continue;
    }
    const size_t count = std::min(each.iov_len - offset, out.size() - copied);
    std::memcpy(out.data() + copied, static_cast<const std::byte*>(each.iov_base) + offset, count);
    copied += count;
    offset = 0;
    if (copied == out.size()) {
      break;
    }
  }
  return copied;
}

}  // namespace

NetRx::NetRx(EventLoop& loop, ActiveQueue queue, NetChannel& channel, const NetFraming& framing,
             const NetState& filter, NetCounters& counters)
    : loop_(loop),
      queue_(std::move(queue)),
      channel_(channel),
      framing_(framing),
      filter_(filter),
      counters_(counters),
      spill_(net::kHeaderBytes + net::kMaxFrameBytes) {
  watch_ = queue_.doorbell->Watch(
      loop_, [this] { Serve(); },
      [this] { return started_ && stock_.empty() && queue_.queue.HasAvailable(); });
}

NetRx::~NetRx() = default;

void NetRx::Start() {
  if (!started_) {
    started_ = true;
    channel_.StartRx([this] { Serve(); });
    PostServe();  // frames may wait already, and buffers too
  }
}

void NetRx::Stop() {
  if (started_) {
    started_ = false;
    channel_.StopRx();
  }
}

QueueAtRest NetRx::Release() {
  Stop();
  watch_.reset();
  spill_bytes_ = 0;  // a frame that was waiting for buffers is lost, as on any network
  // The newest first: that is how a queue takes chains back.
  for (std::deque<Buffer>* buffers : {&stock_, &frame_}) {
    while (!buffers->empty()) {
      queue_.queue.Unpop(std::move(buffers->back().chain));
      buffers->pop_back();
    }
  }
  return {queue_.index, std::move(queue_.queue), {}};
}

void NetRx::PostServe() {
  if (!posted_) {
    posted_ = true;
    loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) {
        posted_ = false;
        Serve();
      }
    });
  }
}

void NetRx::Serve() {
  if (!started_) {
    return;
  }
  queue_.queue.DisableKicks();
  bool again = true;
  for (unsigned turn = 0; again; ++turn) {
    if (turn == kFramesPerTurn) {
      PostServe();
      break;
    }
    if (!FinishSpill() || !Refill()) {
      // No buffers: the next kick goes on, unless one came while kicks were off.
      again = queue_.queue.EnableKicks();
      counters_.rx_no_buffers.Add(again ? 0 : 1);
      continue;
    }
    const int64_t got = Receive();
    if (got > 0) {
      Deliver(static_cast<uint64_t>(got));
    } else {
      counters_.rx_errors.Add(got < 0 ? 1 : 0);
      again = false;  // the backend calls when there are frames
    }
  }
  queue_.queue.Flush();
}

// One more buffer of the guest into the stock; false when there is none. Whether it is long enough to begin a
// frame shows when it is the first one: buffers are completed in the order they were popped, so that Unpop
// may give back the rest.
bool NetRx::TakeBuffer() {
  std::optional<DescChain> chain = queue_.queue.Pop();
  if (!chain) {
    return false;
  }
  const uint64_t bytes = chain->writable_bytes();
  iov_.insert(iov_.end(), chain->writable().begin(), chain->writable().end());
  stock_bytes_ += bytes;
  stock_.push_back({std::move(*chain), 0});
  return true;
}

// True when there are buffers to read a frame into.
bool NetRx::Refill() {
  const uint64_t wanted =
      framing_.mergeable
          ? framing_.header_bytes + (framing_.long_frames ? net::kMaxFrameBytes : kShortFrameBytes)
          : 1;
  while (stock_bytes_ < wanted && iov_.size() - iov_first_ < kMaxIovecs && TakeBuffer()) {
  }
  const uint64_t least = framing_.header_bytes + (framing_.mergeable ? 0 : net::kEthernetBytes);
  while (!stock_.empty() && stock_.front().chain.writable_bytes() < least) {
    counters_.rx_bad_buffers.Add();
    UseBuffer(0);
    queue_.queue.CompleteBatch(std::move(frame_.front().chain), 0);
    frame_.pop_front();
  }
  return !stock_.empty();
}

// One frame into the stock and the spill page; answers its bytes with the header.
int64_t NetRx::Receive() {
  if (iov_first_ > 0 && iov_first_ >= iov_.size() / 2) {
    iov_.erase(iov_.begin(), iov_.begin() + static_cast<std::ptrdiff_t>(iov_first_));
    iov_first_ = 0;
  }
  iov_.push_back({spill_.data(), spill_.size()});
  std::span<const iovec> into = std::span(iov_).subspan(iov_first_);
  if (!framing_.backend_header) {
    shifted_.assign(into.begin(), into.end());
    size_t skip = framing_.header_bytes;
    size_t first = 0;
    for (; skip >= shifted_[first].iov_len; ++first) {  // the first buffer is longer than a header
      skip -= shifted_[first].iov_len;
    }
    shifted_[first].iov_base = static_cast<std::byte*>(shifted_[first].iov_base) + skip;
    shifted_[first].iov_len -= skip;
    into = std::span(shifted_).subspan(first);
  }
  const int64_t got = channel_.Receive(into);
  iov_.pop_back();
  if (got <= 0 || framing_.backend_header) {
    return got;
  }
  const std::array<std::byte, net::kHeaderBytes> header{};
  const bool written = stock_.front().chain.Write(0, header.data(), framing_.header_bytes);
  NANDU_CHECK(written, "every buffer in the stock holds a header");
  return got + framing_.header_bytes;
}

bool NetRx::FrameWanted(uint64_t bytes) {
  if (bytes < framing_.header_bytes + net::kEthernetBytes) {
    counters_.rx_runt.Add();
    return false;
  }
  std::array<uint8_t, kFilterBytes> start{};
  const size_t length = std::min<uint64_t>(bytes - framing_.header_bytes, start.size());
  const std::span<uint8_t> part(start.data(), length);
  const size_t copied = CopyOut(std::span(iov_).subspan(iov_first_), framing_.header_bytes, part);
  CopyOut(std::array{iovec{spill_.data(), spill_.size()}}, 0, part.subspan(copied));
  if (!FrameIsWanted(filter_, part)) {
    counters_.rx_filtered.Add();
    return false;
  }
  return true;
}

void NetRx::Deliver(uint64_t bytes) {
  if (!FrameWanted(bytes)) {
    return;  // its buffers take the next frame
  }
  const uint64_t spilled = bytes > stock_bytes_ ? bytes - stock_bytes_ : 0;
  if (spilled > 0 && (!framing_.mergeable || spilled >= spill_.size())) {
    counters_.rx_oversize.Add();
    return;
  }
  counters_.rx_bytes.Add(bytes - framing_.header_bytes);
  for (uint64_t left = bytes - spilled; left > 0;) {
    const uint64_t used = std::min(left, stock_.front().chain.writable_bytes());
    UseBuffer(used);
    left -= used;
  }
  spill_first_ = 0;
  spill_bytes_ = spilled;
  if (spilled == 0) {
    CompleteFrame();
  }
}

// Moves the stock's first buffer to the frame; `bytes` of it are in use.
void NetRx::UseBuffer(uint64_t bytes) {
  Buffer& buffer = stock_.front();
  stock_bytes_ -= buffer.chain.writable_bytes();
  iov_first_ += buffer.chain.writable().size();
  buffer.bytes = static_cast<uint32_t>(bytes);  // a part of one frame
  frame_.push_back(std::move(buffer));
  stock_.pop_front();
}

// Copies what waits in the spill page into buffers that came since; true when nothing waits any more.
bool NetRx::FinishSpill() {
  while (spill_bytes_ > 0) {
    if (!TakeBuffer()) {
      if (queue_.queue.held() < queue_.queue.size()) {
        return false;
      }
      // Every buffer the ring can hold is in use by this one frame, so no more can come.
      counters_.rx_oversize.Add();
      spill_bytes_ = 0;
      while (!frame_.empty()) {
        queue_.queue.Unpop(std::move(frame_.back().chain));
        frame_.pop_back();
      }
      return true;
    }
    const size_t count = std::min<uint64_t>(stock_.front().chain.writable_bytes(), spill_bytes_);
    const bool written = stock_.front().chain.Write(0, spill_.data() + spill_first_, count);
    NANDU_CHECK(written, "a buffer takes the bytes it was measured for");
    UseBuffer(count);
    spill_first_ += count;
    spill_bytes_ -= count;
    if (spill_bytes_ == 0) {
      CompleteFrame();
    }
  }
  return true;
}

void NetRx::CompleteFrame() {
  if (framing_.header_bytes == net::kHeaderBytes) {
    // virtio 1.2, 5.1.6.4: num_buffers is 1 without MRG_RXBUF too.
    const auto count = static_cast<uint16_t>(frame_.size());
    const bool written = frame_.front().chain.Write(net::kNumBuffersOffset, &count, sizeof(count));
    NANDU_CHECK(written, "every buffer in the stock holds a header");
  }
  counters_.rx_frames.Add();
  while (!frame_.empty()) {
    Buffer& buffer = frame_.front();
    queue_.queue.CompleteBatch(std::move(buffer.chain), buffer.bytes);
    frame_.pop_front();
  }
}

}  // namespace nandu
