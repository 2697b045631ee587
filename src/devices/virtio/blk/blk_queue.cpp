#include "devices/virtio/blk/blk_queue.h"

#include <cerrno>

#include "base/check.h"
#include "base/format.h"
#include "base/time.h"

namespace nandu {
namespace {

// Of requests that are begun before other users of the loop get their turn again.
constexpr unsigned kRequestsPerTurn = 256;

const char* OpText(BlockRequest::Op op) {
  switch (op) {
    case BlockRequest::Op::kRead: return "read";
    case BlockRequest::Op::kWrite: return "write";
    case BlockRequest::Op::kFlush: return "flush";
    case BlockRequest::Op::kDiscard: return "discard";
    case BlockRequest::Op::kWriteZeroes: return "write zeroes";
  }
  return "request";
}

}  // namespace

BlkQueue::BlkQueue(EventLoop& loop, std::unique_ptr<BlockChannel> channel, std::shared_ptr<BlkShared> shared,
                   uint16_t max_queue_size)
    : loop_(loop),
      channel_(std::move(channel)),
      shared_(std::move(shared)),
      flush_([this] { queue_->Flush(); }),
      slots_(max_queue_size) {}

BlkQueue::~BlkQueue() { NANDU_CHECK(!queue_, "a block device is quiesced before it is destroyed"); }

void BlkQueue::Start(ActiveQueue active, const std::vector<ParkedChain>& parked) {
  queue_.emplace(std::move(active.queue));
  doorbell_ = active.doorbell;
  gate_.Open();
  for (const ParkedChain& each : parked) {
    if (std::optional<DescChain> chain = queue_->Unpark(each)) {
      Begin(std::move(*chain));
    }
  }
  watch_ = doorbell_->Watch(
      loop_, [this] { Serve(); }, [this] { return queue_->HasAvailable(); });
}

void BlkQueue::Stop(UniqueFunction<void(std::optional<QueueAtRest>)> done) {
  if (!queue_) {
    done(std::nullopt);
    return;
  }
  watch_.reset();
  gate_.Close([this, done = std::move(done)] {
    loop_.CancelTurnEnd(&flush_);
    queue_->Flush();
    QueueAtRest rest{queue_->index(), std::move(*queue_), std::exchange(parked_, {})};
    queue_.reset();
    done(std::move(rest));
  });
}

void BlkQueue::Serve() {
  unsigned budget = kRequestsPerTurn;
  do {
    queue_->DisableKicks();
    while (std::optional<DescChain> chain = queue_->Pop()) {
      Begin(std::move(*chain));
      if (--budget == 0) {
        shared_->counters.turns_cut.Add();
        doorbell_->Ring();
        return;
      }
    }
  } while (queue_->EnableKicks());
}

void BlkQueue::Begin(DescChain&& chain) {
  BlkRequest* const request = Acquire();
  request->chain.emplace(std::move(chain));
  request->status = request->chain->TakeLastByte();
  if (request->status == nullptr) {
    shared_->counters.short_requests.Add();
    Answer(request, blk::Status::kIoError, 0);
    return;
  }
  const BlkVerdict verdict = ParseBlkRequest(*shared_, *request);
  if (!verdict.submit) {
    Answer(request, verdict.status, verdict.written);
    return;
  }
  Submit(request);
}

void BlkQueue::Submit(BlkRequest* request) {
  Slot& slot = slots_[request->slot];
  slot.offset.store(request->io.offset, std::memory_order_relaxed);
  slot.op.store(request->io.op, std::memory_order_relaxed);
  slot.since_ns.store(MonotonicNs(), std::memory_order_relaxed);
  const bool entered = gate_.Enter();
  NANDU_CHECK(entered, "requests begin while the gate is open");
  request->io.progress = 0;
  request->io.sys_errno = 0;
  channel_->Submit(&request->io);
}

void BlkQueue::Finish(BlkRequest* request, BlkStatus status) {
  slots_[request->slot].since_ns.store(0, std::memory_order_relaxed);
  if (status != BlkStatus::kOk && request->io.op == BlockRequest::Op::kRead) {
    request->chain->MarkAllWritten();  // some of it may have arrived
  }
  const Verdict verdict = Judge(*request, status);
  if (verdict.park) {
    parked_.push_back(queue_->Park(std::move(*request->chain)));
    Release(request);
  } else {
    const bool filled = status == BlkStatus::kOk && request->io.op == BlockRequest::Op::kRead;
    Answer(request, verdict.status, filled ? static_cast<uint32_t>(request->io.bytes) : 0);
  }
  gate_.Leave();  // last: this may give the queue away
}

// What becomes of a request that the node has answered; rerror and werror decide as they do in QEMU.
BlkQueue::Verdict BlkQueue::Judge(const BlkRequest& request, BlkStatus status) {
  if (status == BlkStatus::kOk) {
    return {};
  }
  if (status == BlkStatus::kUnsupported) {
    // A discard is a hint: an image that cannot take it keeps its blocks. What else the node does not know
    // fails again however often it is tried.
    const bool hint = request.io.op == BlockRequest::Op::kDiscard;
    shared_->counters.failed.Add(hint ? 0 : 1);
    return {.status = hint ? blk::Status::kOk : blk::Status::kUnsupported};
  }
  BlkError error;
  error.is_read = request.io.op == BlockRequest::Op::kRead;
  error.no_space = status == BlkStatus::kNoSpace;
  error.sys_errno = request.io.sys_errno != 0 ? request.io.sys_errno : error.no_space ? ENOSPC : EIO;
  error.action = error.is_read ? shared_->read_errors : shared_->write_errors;
  if (error.action == BlkErrorPolicy::kEnospc) {
    error.action = error.no_space ? BlkErrorPolicy::kStop : BlkErrorPolicy::kReport;
  }
  const bool stopped = shared_->on_error && shared_->on_error(error);
  if (error.action == BlkErrorPolicy::kStop && stopped) {
    shared_->counters.stopped.Add();
    return {.park = true};
  }
  if (error.action == BlkErrorPolicy::kIgnore) {
    shared_->counters.ignored_errors.Add();
    return {};
  }
  shared_->counters.failed.Add();
  return {.status = blk::Status::kIoError};
}

void BlkQueue::Answer(BlkRequest* request, blk::Status status, uint32_t written) {
  if (request->status != nullptr) {
    *request->status = static_cast<std::byte>(status);
    // The status byte follows the data: it counts where all in front of it was written.
    written += written == request->chain->writable_bytes() ? 1 : 0;
  }
  queue_->CompleteBatch(std::move(*request->chain), written);
  Release(request);
  FlushSoon();
}

BlkRequest* BlkQueue::Acquire() {
  if (free_.empty()) {
    auto made = std::make_unique<BlkRequest>();
    made->queue = this;
    made->slot = static_cast<uint32_t>(requests_.size());
    NANDU_CHECK(made->slot < slots_.size(), "no more requests are held than a ring has entries");
    made->io.owner = made.get();
    made->io.done = [](BlockRequest* io, BlkStatus status) {
      auto* const request = static_cast<BlkRequest*>(io->owner);
      request->queue->Finish(request, status);
    };
    requests_.push_back(std::move(made));
    return requests_.back().get();
  }
  BlkRequest* const request = free_.back();
  free_.pop_back();
  return request;
}

void BlkQueue::Release(BlkRequest* request) {
  request->chain.reset();
  free_.push_back(request);
}

void BlkQueue::Stuck(int64_t now_ns, int64_t than_ns, std::vector<std::string>* out) const {
  for (const Slot& slot : slots_) {
    const int64_t since_ns = slot.since_ns.load(std::memory_order_relaxed);
    if (since_ns == 0 || now_ns - since_ns < than_ns) {
      continue;
    }
    const auto op = slot.op.load(std::memory_order_relaxed);
    const std::string where =
        op == BlockRequest::Op::kFlush ? "" : Format(" at {}", slot.offset.load(std::memory_order_relaxed));
    out->push_back(Format("node {}, {}{}, {} s", shared_->node_name, OpText(op), where,
                          (now_ns - since_ns) / 1'000'000'000));
  }
}

}  // namespace nandu
