#include "devices/virtio/rng/rng_queue.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {
namespace {

// Answered before other users of the loop get their turn again: at most 512 KiB of random bytes.
constexpr unsigned kRequestsPerTurn = 8;

}  // namespace

RngQueue::RngQueue(EventLoop& loop, Clock& clock, EntropySource& source, const RngLimit& limit)
    : loop_(loop), clock_(clock), source_(source), limit_(limit) {}

void RngQueue::Start(ActiveQueue active, const std::vector<ParkedChain>& parked) {
  queue_.emplace(std::move(active.queue));
  doorbell_ = active.doorbell;
  // A saved state may hold them, although this device parks nothing.
  for (const ParkedChain& each : parked) {
    if (std::optional<DescChain> chain = queue_->Unpark(each)) {
      Answer(std::move(*chain));
    }
  }
  queue_->Flush();
  watch_ = doorbell_->Watch(loop_, [this] { Serve(); });
}

std::optional<QueueAtRest> RngQueue::Stop() {
  if (!queue_) {
    return std::nullopt;
  }
  watch_.reset();
  const unsigned index = queue_->index();
  QueueAtRest rest{index, std::move(*queue_), {}};
  queue_.reset();
  return rest;
}

void RngQueue::Serve() {
  if (!queue_) {
    return;
  }
  unsigned answered = 0;
  do {
    queue_->DisableKicks();
    while (answered < kRequestsPerTurn && Budget() > 0) {
      std::optional<DescChain> chain = queue_->Pop();
      if (!chain) {
        break;
      }
      Answer(std::move(*chain));
      ++answered;
    }
    queue_->Flush();
    if (answered == kRequestsPerTurn) {
      doorbell_->Ring();  // the rest in the next turn
      return;
    }
  } while (queue_->EnableKicks() && Budget() > 0);
}

void RngQueue::Answer(DescChain&& chain) {
  counters_.requests.Add();
  const uint64_t wanted =
      std::min({chain.writable_bytes(), kMaxBytesPerRequest, limit_.max_bytes - used_bytes_});
  const size_t filled = wanted == 0 ? 0 : source_.Fill(chain.writable(), wanted);
  if (filled == 0) {
    counters_.empty_replies.Add();
  }
  counters_.bytes.Add(filled);
  used_bytes_ += limit_.unlimited() ? 0 : filled;
  queue_->CompleteBatch(std::move(chain), Narrow<uint32_t>(filled));
}

uint64_t RngQueue::Budget() {
  const uint64_t left = limit_.max_bytes - used_bytes_;
  if (left == 0) {
    counters_.throttled.Add();
    timer_->Arm(clock_.VmNs() + int64_t{1'000'000} * limit_.period_ms);
  }
  return left;
}

void RngQueue::Refill() {
  used_bytes_ = 0;
  Serve();
}

}  // namespace nandu
