#include "devices/virtio/balloon/balloon_queues.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace nandu {
namespace {

// What one queue's turn may cost before other users of the loop have theirs, in pages (balloon_pages.h): about
// two milliseconds where the host gives back page by page.
constexpr int64_t kCostPerTurn = 8192;
constexpr int64_t kCostPerRequest = 64;
// Page numbers looked at between two looks at the cost.
constexpr size_t kPagesAtOnce = 256;
// Drivers know 16 tags at most; a longer buffer is read to here.
constexpr size_t kMaxStats = 64;

}  // namespace

BalloonQueues::BalloonQueues(EventLoop& loop, std::shared_ptr<BalloonControl> control)
    : loop_(loop), control_(std::move(control)) {}

// ---- life ----
void BalloonQueues::Activate(ActivateArgs args, const std::vector<RequeuedChains>& requeue) {
  dma_ = args.dma;
  features_ = args.features;
  for (ActiveQueue& queue : args.queues) {
    const unsigned index = queue.index;
    const auto parked = std::find_if(requeue.begin(), requeue.end(),
                                     [&](const RequeuedChains& each) { return each.index == index; });
    Start(std::move(queue), parked == requeue.end() ? std::vector<ParkedChain>() : parked->parked);
  }
}

void BalloonQueues::Start(ActiveQueue queue, const std::vector<ParkedChain>& parked) {
  const unsigned index = queue.index;
  Doorbell& doorbell = *queue.doorbell;
  std::optional<Slot>& slot = slots_.at(index);
  slot.emplace(std::move(queue));
  TakeUp(*slot, parked);
  slot->watch = doorbell.Watch(loop_, [this, index] { Serve(index); });
  if (index == balloon::kStatsQueue) {
    control_->ArmStatsTimer();
  }
}

void BalloonQueues::TakeUp(Slot& slot, const std::vector<ParkedChain>& parked) {
  for (const ParkedChain& each : parked) {
    if (slot.active.index == balloon::kStatsQueue) {
      HoldStats(slot, each);
      continue;
    }
    // This device parks none of these, but a saved state may hold anything.
    counters_.stray_requests.Add();
    if (std::optional<DescChain> chain = slot.active.queue.Unpark(each)) {
      slot.active.queue.CompleteBatch(std::move(*chain), 0);
    }
  }
  slot.active.queue.Flush();
}

std::optional<QueueAtRest> BalloonQueues::QuiesceQueue(unsigned index) {
  std::optional<Slot>& slot = slots_.at(index);
  if (!slot) {
    return std::nullopt;
  }
  slot->watch.reset();
  if (slot->chain) {
    // Begun again from its start: its pages are not the guest's before it is completed.
    slot->active.queue.Unpop(std::move(*slot->chain));
    slot->chain.reset();
  }
  if (index == balloon::kInflateQueue) {
    pages_.EndInflation();
  }
  QueueAtRest rest{index, std::move(slot->active.queue), {}};
  if (index == balloon::kStatsQueue) {
    rest.parked = std::exchange(held_stats_, {});
  }
  slot.reset();
  return rest;
}

std::vector<QueueAtRest> BalloonQueues::Quiesce() {
  std::vector<QueueAtRest> all;
  for (unsigned index = 0; index < slots_.size(); ++index) {
    if (std::optional<QueueAtRest> rest = QuiesceQueue(index)) {
      all.push_back(std::move(*rest));
    }
  }
  dma_ = nullptr;
  return all;
}

// ---- turns ----
void BalloonQueues::Serve(unsigned index) {
  std::optional<Slot>& slot = slots_.at(index);
  if (!slot) {
    return;
  }
  Virtqueue& queue = slot->active.queue;
  int64_t left = kCostPerTurn;
  do {
    queue.DisableKicks();
    while (left > 0 && Begin(*slot)) {
      left -= kCostPerRequest + Work(*slot);
    }
    queue.Flush();
    if (left <= 0) {
      counters_.paused_requests.Add(slot->chain ? 1 : 0);
      slot->active.doorbell->Ring();  // the rest in the next turn
      return;
    }
  } while (queue.EnableKicks());
}

// Whether there is a request to go on with.
bool BalloonQueues::Begin(Slot& slot) {
  if (slot.chain) {
    return true;
  }
  if (std::optional<DescChain> next = slot.active.queue.Pop()) {
    slot.chain.emplace(std::move(*next));
    slot.segment = 0;
    slot.segment_done = 0;
  }
  return slot.chain.has_value();
}

int64_t BalloonQueues::Work(Slot& slot) {
  switch (slot.active.index) {
    case balloon::kInflateQueue: return Inflate(slot);
    case balloon::kDeflateQueue: return Deflate(slot);
    case balloon::kStatsQueue: return TakeStats(slot);
    default: return Report(slot);
  }
}

void BalloonQueues::Finish(Slot& slot) {
  slot.active.queue.CompleteBatch(std::move(*slot.chain), 0);
  slot.chain.reset();
}

// ---- pages ----
int64_t BalloonQueues::Inflate(Slot& slot) {
  std::array<uint32_t, kPagesAtOnce> numbers;
  DescChain& chain = *slot.chain;
  const size_t count = std::min<uint64_t>(kPagesAtOnce, chain.readable_bytes() / sizeof(uint32_t));
  const bool read = chain.ReadHeader(numbers.data(), count * sizeof(uint32_t));
  NANDU_CHECK(read, "a request has the bytes it was measured for");
  const int64_t cost =
      pages_.Inflate(*dma_->Current(), std::span(numbers).first(count)) + static_cast<int64_t>(count);
  if (chain.readable_bytes() < sizeof(uint32_t)) {
    counters_.inflations.Add();
    counters_.odd_requests.Add(chain.readable_bytes() > 0 || count == 0 ? 1 : 0);
    pages_.EndInflation();
    Finish(slot);
  }
  return cost;
}

// The pages are the guest's again, and come back when it touches them.
int64_t BalloonQueues::Deflate(Slot& slot) {
  counters_.deflations.Add();
  Finish(slot);
  return 0;
}

int64_t BalloonQueues::Report(Slot& slot) {
  const std::span<const GuestSegment> ranges = slot.chain->writable_segments();
  // 5.5.6.7.2: with PAGE_POISON a reported page may only ever read as poison_val, and what is given back
  // reads as zeroes.
  const bool poison = (features_ & balloon::kFeaturePagePoison) != 0;
  const bool poisoned = poison && control_->Copy().poison != 0;
  int64_t cost = 0;
  if (slot.segment < ranges.size() && !poisoned) {
    const GuestSegment& range = ranges[slot.segment];
    slot.segment_done += pages_.Report(*dma_->Current(), Gpa{range.address + slot.segment_done},
                                       range.length - slot.segment_done,
                                       poison ? DiscardedReads::kZeroes : DiscardedReads::kAnything, &cost);
    if (slot.segment_done < range.length) {
      return cost;
    }
    slot.segment_done = 0;
    ++slot.segment;
  }
  if (slot.segment >= ranges.size() || poisoned) {
    counters_.reports.Add();
    counters_.poisoned_reports.Add(poisoned ? 1 : 0);
    counters_.odd_requests.Add(ranges.empty() ? 1 : 0);
    Finish(slot);
  }
  return cost;
}

// ---- statistics ----
int64_t BalloonQueues::TakeStats(Slot& slot) {
  std::array<balloon::Stat, kMaxStats> entries;
  DescChain& chain = *slot.chain;
  const size_t count = std::min<uint64_t>(kMaxStats, chain.readable_bytes() / sizeof(balloon::Stat));
  const bool read = chain.ReadHeader(entries.data(), count * sizeof(balloon::Stat));
  NANDU_CHECK(read, "a buffer has the bytes it was measured for");
  counters_.stats.Add();
  counters_.odd_stats.Add(chain.readable_bytes() > 0 ? 1 : 0);
  BalloonStats stats;
  for (const balloon::Stat& entry : std::span(entries).first(count)) {
    if (entry.tag < stats.values.size()) {
      stats.values[entry.tag] = entry.value;
    } else {
      counters_.unknown_stats.Add();  // 5.5.6.3.2: ignored
    }
  }
  HoldStats(slot, slot.active.queue.Park(std::move(chain)));
  slot.chain.reset();
  control_->TakeStats(stats);
  return 0;
}

// 5.5.6.3.1: a driver has at most one buffer out; of one that has more the last is kept.
void BalloonQueues::HoldStats(Slot& slot, ParkedChain held) {
  held_stats_.push_back(std::move(held));
  counters_.extra_stats.Add(ReturnStats(slot, 1));
}

// What cannot be taken up now (bus mastering was switched off a moment ago) stays held.
size_t BalloonQueues::ReturnStats(Slot& slot, size_t keep) {
  size_t returned = 0;
  while (held_stats_.size() > keep) {
    std::optional<DescChain> chain = slot.active.queue.Unpark(held_stats_.front());
    if (!chain) {
      break;
    }
    slot.active.queue.CompleteBatch(std::move(*chain), 0);
    held_stats_.erase(held_stats_.begin());
    ++returned;
  }
  return returned;
}

void BalloonQueues::PollStats() {
  std::optional<Slot>& slot = slots_[balloon::kStatsQueue];
  if (!slot || control_->stats_interval_s() == 0) {
    return;
  }
  if (ReturnStats(*slot, 0) == 0) {
    control_->ArmStatsTimer();  // the guest has not answered yet
  }
  slot->active.queue.Flush();
}

}  // namespace nandu
