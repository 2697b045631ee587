#include "devices/storage/disk_front.h"

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/time.h"

namespace nandu {
namespace {

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

DiskFront::DiskFront(ControlLoop& control, EventLoop& loop, Config config)
    : control_(control), loop_(loop), config_(std::move(config)) {
  for (uint32_t slot = kSlots; slot > 0; --slot) {
    free_slots_.push_back(slot - 1);
  }
}

DiskFront::~DiskFront() {
  NANDU_CHECK(in_flight_ == 0, "a disk is quiesced before it is destroyed");
}

Result<std::shared_ptr<DiskFront>> DiskFront::Create(ControlLoop& control, EventLoop& loop, Config config,
                                                     std::shared_ptr<BlockNode> node) {
  std::unique_ptr<BlockChannel> channel;
  if (node != nullptr) {
    channel = TRY(node->OpenChannel(loop));
  }
  std::shared_ptr<DiskFront> front(new DiskFront(control, loop, std::move(config)));
  front->channel_ = std::move(channel);
  front->Adopt(std::move(node));
  return front;
}

void DiskFront::Close(std::shared_ptr<DiskFront> front) {
  if (front->node_ != nullptr) {
    front->node_->RemoveSizeListener(front.get());
  }
  // The control loop may be over: the node goes where its channel went, as with every device that ends.
  EventLoop& loop = front->loop_;
  loop.Post([front = std::move(front)]() mutable {
    NANDU_CHECK(front->in_flight_ == 0, "a disk is closed with nothing in flight");
    front->channel_.reset();
    front.reset();
  });
}

void DiskFront::Adopt(std::shared_ptr<BlockNode> node) {
  if (node_ != nullptr) {
    node_->RemoveSizeListener(this);
  }
  node_ = std::move(node);
  const BlockLimits limits = node_ != nullptr ? node_->limits() : BlockLimits{};
  size_bytes_.store(limits.size_bytes, std::memory_order_relaxed);
  read_only_.store(limits.read_only, std::memory_order_relaxed);
  has_medium_.store(node_ != nullptr, std::memory_order_relaxed);
  if (node_ != nullptr) {
    node_name_ = node_name_.empty() ? node_->node_name() : node_name_;
    node_->AddSizeListener(this, [this] { OnNewSize(); });
  }
}

void DiskFront::OnNewSize() {
  size_bytes_.store(node_->limits().size_bytes, std::memory_order_relaxed);
  loop_.Post([self = shared_from_this()] {
    if (self->config_.on_size) {
      self->config_.on_size();
    }
  });
}

void DiskFront::ChangeMedium(std::shared_ptr<BlockNode> node, UniqueFunction<void(Result<>)> done) {
  std::unique_ptr<BlockChannel> channel;
  if (node != nullptr) {
    Result<std::unique_ptr<BlockChannel>> opened = node->OpenChannel(loop_);
    if (!opened) {
      done(tl::unexpected<Error>(std::move(opened).error()));
      return;
    }
    channel = std::move(*opened);
  }
  has_medium_.store(false, std::memory_order_relaxed);
  loop_.Post([self = shared_from_this(), channel = std::move(channel), node = std::move(node),
              done = std::move(done)]() mutable {
    auto* const front = self.get();
    front->Swap(std::move(channel),
                [self = std::move(self), node = std::move(node), done = std::move(done)]() mutable {
                  ControlLoop& control = self->control_;
                  control.Post(
                      [self = std::move(self), node = std::move(node), done = std::move(done)]() mutable {
                        self->Adopt(std::move(node));
                        done({});
                      });
                });
  });
}

void DiskFront::Swap(std::unique_ptr<BlockChannel> channel, UniqueFunction<void()> done) {
  NANDU_CHECK(!on_idle_, "media are changed one after the other");
  UniqueFunction<void()> swap = [this, channel = std::move(channel), done = std::move(done)]() mutable {
    channel_ = std::move(channel);
    done();
  };
  if (in_flight_ == 0) {
    swap();
    return;
  }
  on_idle_ = std::move(swap);
}

void DiskFront::Submit(DiskRequest* request) {
  if (channel_ == nullptr || on_idle_) {
    counters_.without_medium.Add();
    loop_.Post([request] { request->done(request, DiskResult::kFailed); });
    return;
  }
  Count(request->io);
  request->front = this;
  request->slot = kSlots;
  if (!free_slots_.empty()) {
    request->slot = free_slots_.back();
    free_slots_.pop_back();
    Slot& slot = slots_[request->slot];
    slot.offset.store(request->io.offset, std::memory_order_relaxed);
    slot.op.store(request->io.op, std::memory_order_relaxed);
    slot.since_ns.store(MonotonicNs(), std::memory_order_relaxed);
  }
  request->io.progress = 0;
  request->io.sys_errno = 0;
  request->io.owner = request;
  request->io.done = [](BlockRequest* io, BlkStatus status) {
    auto* const self = static_cast<DiskRequest*>(io->owner);
    self->front->Finish(self, status);
  };
  ++in_flight_;
  channel_->Submit(&request->io);
}

void DiskFront::Finish(DiskRequest* request, BlkStatus status) {
  if (request->slot < kSlots) {
    slots_[request->slot].since_ns.store(0, std::memory_order_relaxed);
    free_slots_.push_back(request->slot);
  }
  --in_flight_;
  const bool idle = in_flight_ == 0 && on_idle_;
  request->done(request, Judge(*request, status));
  if (idle) {
    // Posted: what just ended may be on this channel's stack.
    loop_.Post([on_idle = std::exchange(on_idle_, nullptr), self = shared_from_this()] { on_idle(); });
  }
}

// As QEMU's rerror and werror decide.
DiskResult DiskFront::Judge(const DiskRequest& request, BlkStatus status) {
  if (status == BlkStatus::kOk) {
    return DiskResult::kOk;
  }
  if (status == BlkStatus::kUnsupported) {
    // A discard is a hint: an image that cannot take it keeps its blocks.
    const bool hint = request.io.op == BlockRequest::Op::kDiscard;
    counters_.failed.Add(hint ? 0 : 1);
    return hint ? DiskResult::kOk : DiskResult::kUnsupported;
  }
  DiskError error;
  error.is_read = request.io.op == BlockRequest::Op::kRead;
  error.no_space = status == BlkStatus::kNoSpace;
  error.sys_errno = request.io.sys_errno != 0 ? request.io.sys_errno : error.no_space ? ENOSPC : EIO;
  error.action = error.is_read ? config_.read_errors : config_.write_errors;
  if (error.action == DiskErrorPolicy::kEnospc) {
    error.action = error.no_space ? DiskErrorPolicy::kStop : DiskErrorPolicy::kReport;
  }
  const bool stopped = config_.on_error && config_.on_error(error);
  if (error.action == DiskErrorPolicy::kStop && stopped) {
    counters_.stopped.Add();
    return DiskResult::kParked;
  }
  if (error.action == DiskErrorPolicy::kIgnore) {
    counters_.ignored_errors.Add();
    return DiskResult::kOk;
  }
  counters_.failed.Add();
  return DiskResult::kFailed;
}

void DiskFront::Count(const BlockRequest& io) {
  switch (io.op) {
    case BlockRequest::Op::kRead:
      counters_.reads.Add();
      counters_.read_bytes.Add(io.bytes);
      break;
    case BlockRequest::Op::kWrite:
      counters_.writes.Add();
      counters_.written_bytes.Add(io.bytes);
      break;
    case BlockRequest::Op::kFlush: counters_.flushes.Add(); break;
    case BlockRequest::Op::kDiscard: counters_.discards.Add(); break;
    case BlockRequest::Op::kWriteZeroes: counters_.write_zeroes.Add(); break;
  }
}

void DiskFront::Stuck(int64_t now_ns, int64_t than_ns, std::vector<std::string>* out) const {
  for (const Slot& slot : slots_) {
    const int64_t since_ns = slot.since_ns.load(std::memory_order_relaxed);
    if (since_ns == 0 || now_ns - since_ns < than_ns) {
      continue;
    }
    const auto op = slot.op.load(std::memory_order_relaxed);
    const std::string where =
        op == BlockRequest::Op::kFlush ? "" : Format(" at {}", slot.offset.load(std::memory_order_relaxed));
    out->push_back(
        Format("node {}, {}{}, {} s", node_name_, OpText(op), where, (now_ns - since_ns) / 1'000'000'000));
  }
}

}  // namespace nandu
