// Frames out of guest memory.
#include "devices/virtio/net/net_tx.h"

namespace nandu {
namespace {

constexpr unsigned kFramesPerTurn = 256;  // then other queues of the loop get theirs
constexpr unsigned kFramesPerFlush = 64;  // the driver gets its buffers back

}  // namespace

NetTx::NetTx(EventLoop& loop, ActiveQueue queue, NetChannel& channel, const NetFraming& framing,
             NetCounters& counters)
    : loop_(loop), queue_(std::move(queue)), channel_(channel), framing_(framing), counters_(counters) {
  watch_ = queue_.doorbell->Watch(
      loop_, [this] { Serve(); }, [this] { return !busy_ && queue_.queue.HasAvailable(); });
}

NetTx::~NetTx() = default;

QueueAtRest NetTx::Release() {
  watch_.reset();
  alive_.reset();  // what is posted calls nobody
  if (busy_) {
    channel_.NotifyWritable(nullptr);
  }
  if (waiting_) {
    queue_.queue.Unpop(std::move(*waiting_));
    waiting_.reset();
  }
  return {queue_.index, std::move(queue_.queue), {}};
}

void NetTx::PostServe() {
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

void NetTx::Serve() {
  if (busy_) {
    return;
  }
  queue_.queue.DisableKicks();
  unsigned sent = 0;
  while (true) {
    if (sent == kFramesPerTurn) {
      PostServe();
      break;
    }
    if (!waiting_) {
      if (std::optional<DescChain> chain = queue_.queue.Pop()) {
        waiting_.emplace(std::move(*chain));
      } else if (queue_.queue.EnableKicks()) {
        continue;
      } else {
        break;
      }
    }
    if (!Send(*waiting_)) {
      counters_.tx_busy.Add();
      busy_ = true;
      channel_.NotifyWritable([this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) {
          busy_ = false;
          Serve();
        }
      });
      break;
    }
    queue_.queue.CompleteBatch(std::move(*waiting_), 0);
    waiting_.reset();
    if (++sent % kFramesPerFlush == 0) {
      queue_.queue.Flush();
    }
  }
  queue_.queue.Flush();
}

bool NetTx::Send(const DescChain& chain) {
  const uint64_t bytes = chain.readable_bytes();
  if (bytes < framing_.header_bytes + net::kEthernetBytes) {
    counters_.tx_malformed.Add();
    return true;
  }
  if (bytes > framing_.header_bytes + net::kMaxFrameBytes) {
    counters_.tx_oversize.Add();
    return true;
  }
  if (!link_up_) {
    counters_.tx_link_down.Add();
    return true;
  }
  std::span<const iovec> frame = chain.readable();
  if (!framing_.backend_header) {
    shifted_.assign(frame.begin(), frame.end());
    size_t skip = framing_.header_bytes;
    size_t first = 0;
    for (; skip >= shifted_[first].iov_len; ++first) {  // there is a frame behind the header
      skip -= shifted_[first].iov_len;
    }
    shifted_[first].iov_base = static_cast<std::byte*>(shifted_[first].iov_base) + skip;
    shifted_[first].iov_len -= skip;
    frame = std::span(shifted_).subspan(first);
  }
  switch (channel_.Send(frame)) {
    case NetChannel::SendResult::kSent:
      counters_.tx_frames.Add();
      counters_.tx_bytes.Add(bytes - framing_.header_bytes);
      break;
    case NetChannel::SendResult::kBusy: return false;
    case NetChannel::SendResult::kDropped: counters_.tx_dropped.Add(); break;
  }
  return true;
}

}  // namespace nandu
