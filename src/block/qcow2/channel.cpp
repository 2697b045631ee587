#include "block/qcow2/channel.h"

#include <algorithm>

#include "base/check.h"
#include "block/file_status.h"
#include "block/qcow2/vector_io.h"
#include "loop/event_loop.h"

namespace nandu::qcow2 {

using Op = BlockRequest::Op;

Channel::Channel(EventLoop& loop, std::shared_ptr<NodeImage> image, std::unique_ptr<BlockChannel> data,
                 std::unique_ptr<BlockChannel> backing)
    : loop_(loop), image_(std::move(image)), data_(std::move(data)), backing_(std::move(backing)) {}

Channel::~Channel() {
  NANDU_CHECK(idle_.size() == all_.size(), "a channel is destroyed with nothing in flight");
}

Channel::Operation* Channel::Take(BlockRequest* request) {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Operation>());
    Operation* const made = all_.back().get();
    made->channel = this;
    made->ticket.operation = made;
    made->ticket.loop = &loop_;
    made->ticket.ready = [](RangeTracker::Ticket* ticket) {
      Operation* const operation = static_cast<Ticket*>(ticket)->operation;
      operation->channel->Serve(operation);
    };
    made->child.operation = made;
    made->child.done = [](BlockRequest* child, BlkStatus status) {
      Operation* const operation = static_cast<Child*>(child)->operation;
      operation->channel->OnChild(operation, status);
    };
    made->job.operation = made;
    made->job.run = &OnStrand;
    idle_.push_back(made);
  }
  Operation* const operation = idle_.back();
  idle_.pop_back();
  operation->caller = request;
  operation->done_bytes = 0;
  operation->loads = 0;
  operation->checked = false;
  operation->sys_errno = 0;
  operation->failed = false;
  return operation;
}

void Channel::Submit(BlockRequest* request) {
  Operation* const operation = Take(request);
  submitting_ = true;
  if (request->op == Op::kFlush) {
    // Nothing of the mapping is pending: what is left is the file's own.
    if (image_->image->metadata_dirty()) {
      RunOnStrand(operation, Work::kFlush, Then::kFinish);
    } else {
      SendChild(operation, *data_, 0, 0);
    }
  } else if (request->op != Op::kRead && !image_->image->writable()) {
    image_->counters.out_of_range.Add(1);
    Finish(operation, BlkStatus::kIoError);
  } else {
    const bool alone = request->op == Op::kDiscard || request->op == Op::kWriteZeroes ||
                       (request->op == Op::kWrite && !image_->channels_write);
    Enter(operation, alone);
  }
  submitting_ = false;
}

void Channel::Enter(Operation* operation, bool exclusive) {
  const BlockRequest& request = *operation->caller;
  operation->ticket.begin = AlignDown(request.offset, image_->cluster_bytes);
  operation->ticket.end = AlignUp(request.offset + request.bytes, image_->cluster_bytes);
  operation->ticket.exclusive = exclusive;
  operation->in_ranges = true;
  if (image_->ranges.Enter(&operation->ticket)) {
    Serve(operation);
  }
}

void Channel::EnterAlone(Operation* operation) {
  image_->ranges.Leave(&operation->ticket);
  Enter(operation, true);
}

// It has its range.
void Channel::Serve(Operation* operation) {
  if (!operation->ticket.exclusive || operation->caller->op == Op::kRead) {
    GoOn(operation);
    return;
  }
  switch (operation->caller->op) {
    case Op::kDiscard: RunOnStrand(operation, Work::kDiscard, Then::kFinish); break;
    case Op::kWriteZeroes: RunOnStrand(operation, Work::kZero, Then::kFinish); break;
    default: RunOnStrand(operation, Work::kWrite, Then::kFinish); break;
  }
}

void Channel::GoOn(Operation* operation) {
  if (operation->caller->op == Op::kRead) {
    Read(operation);
  } else {
    Write(operation);
  }
}

bool Channel::InFile(const Extent& extent) const {
  uint64_t end = 0;
  return !AddOverflows(extent.host_offset, extent.bytes, &end) &&
         end <= image_->file_bytes.load(std::memory_order_acquire);
}

void Channel::Read(Operation* operation) {
  while (operation->left() != 0) {
    const std::optional<Extent> extent = image_->image->TryFind(operation->at(), operation->left());
    if (!extent && operation->loads < kMaxLoads) {
      Load(operation, operation->at(), Then::kGoOn);
      return;
    }
    operation->part.clear();
    operation->part_bytes = extent ? extent->bytes : operation->left();
    AppendPart(operation->caller->iov, operation->done_bytes, operation->part_bytes, &operation->part);
    const bool for_strand = !extent || extent->kind == ExtentKind::kCompressed ||
                            (extent->kind == ExtentKind::kData && !InFile(*extent));
    if (for_strand) {
      RunOnStrand(operation, Work::kRead, Then::kGoOn);
      return;
    }
    operation->loads = 0;
    if (extent->kind == ExtentKind::kData) {
      SendChild(operation, *data_, extent->host_offset, operation->part_bytes);
      return;
    }
    const uint64_t below = image_->backing ? image_->backing->size() : 0;
    if (extent->kind == ExtentKind::kUnallocated && operation->at() < below) {
      operation->part_bytes = std::min(operation->part_bytes, below - operation->at());
      operation->part.clear();
      AppendPart(operation->caller->iov, operation->done_bytes, operation->part_bytes, &operation->part);
      SendChild(operation, *backing_, operation->at(), operation->part_bytes);
      return;
    }
    FillZero(operation->part);
    operation->done_bytes += operation->part_bytes;
  }
  Finish(operation, BlkStatus::kOk);
}

// Whether every byte of a write may go straight to the file. False: something else has been begun.
bool Channel::CheckWrite(Operation* operation) {
  for (uint64_t done = operation->done_bytes; done < operation->caller->bytes;) {
    const uint64_t at = operation->caller->offset + done;
    const std::optional<Extent> extent = image_->image->TryFind(at, operation->caller->bytes - done);
    if (!extent && operation->loads < kMaxLoads) {
      Load(operation, at, Then::kGoOn);
      return false;
    }
    if (!extent || !image_->image->MayWriteInPlace(*extent) || !InFile(*extent)) {
      EnterAlone(operation);
      return false;
    }
    done += extent->bytes;
  }
  operation->checked = true;
  return true;
}

void Channel::Write(Operation* operation) {
  if (!operation->checked && !CheckWrite(operation)) {
    return;
  }
  if (operation->left() == 0) {
    // A cluster allocated before may still be linked to in memory alone.
    if (Durable(*operation) && image_->image->metadata_dirty()) {
      RunOnStrand(operation, Work::kFlush, Then::kFinish);
      return;
    }
    Finish(operation, BlkStatus::kOk);
    return;
  }
  const std::optional<Extent> extent = image_->image->TryFind(operation->at(), operation->left());
  if (!extent || !image_->image->MayWriteInPlace(*extent) || !InFile(*extent)) {
    operation->checked = false;  // what was looked up has left the cache
    GoOn(operation);
    return;
  }
  operation->part.clear();
  operation->part_bytes = extent->bytes;
  AppendPart(operation->caller->iov, operation->done_bytes, operation->part_bytes, &operation->part);
  SendChild(operation, *data_, extent->host_offset, operation->part_bytes);
}

void Channel::Load(Operation* operation, uint64_t offset, Then then) {
  ++operation->loads;
  operation->work_offset = offset;
  RunOnStrand(operation, Work::kLoad, then);
}

void Channel::SendChild(Operation* operation, BlockChannel& channel, uint64_t offset, uint64_t bytes) {
  Child& child = operation->child;
  child.op = operation->caller->op;
  child.fua = operation->caller->fua;
  child.may_unmap = false;
  child.offset = offset;
  child.bytes = bytes;
  child.iov = child.op == Op::kFlush ? std::span<const iovec>() : std::span<const iovec>(operation->part);
  child.sys_errno = 0;
  channel.Submit(&child);
}

void Channel::OnChild(Operation* operation, BlkStatus status) {
  if (status != BlkStatus::kOk) {
    operation->sys_errno = operation->child.sys_errno;
    Finish(operation, status);
    return;
  }
  if (operation->caller->op == Op::kFlush) {
    Finish(operation, BlkStatus::kOk);
    return;
  }
  operation->done_bytes += operation->part_bytes;
  GoOn(operation);
}

void Channel::Finish(Operation* operation, BlkStatus status) {
  if (!submitting_) {
    Answer(operation, status);
    return;
  }
  loop_.Post([this, operation, status] { Answer(operation, status); });
}

void Channel::Answer(Operation* operation, BlkStatus status) {
  if (operation->in_ranges) {
    operation->in_ranges = false;
    image_->ranges.Leave(&operation->ticket);
  }
  BlockRequest* const caller = operation->caller;
  caller->sys_errno = operation->sys_errno;
  operation->caller = nullptr;
  idle_.push_back(operation);
  caller->done(caller, status);  // it may destroy this channel
}

}  // namespace nandu::qcow2
