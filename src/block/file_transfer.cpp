#include "block/file_transfer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits.h>

#include "base/check.h"
#include "base/checked.h"
#include "block/file_status.h"
#include "loop/event_loop.h"

namespace nandu {
namespace {

// How often a transfer that gets nowhere is tried again before it is an error.
constexpr unsigned kMaxFutileTries = 64;

}  // namespace

FileTransfer::FileTransfer(FileChannel& channel) : channel_(channel), file_(*channel.file_) {
  done = [](IoOp* op, int32_t result) {
    auto* self = static_cast<FileTransfer*>(op);
    (self->*self->step_)(result);
  };
  ticket_.transfer = this;
  ticket_.loop = &channel.loop_;
  ticket_.ready = [](RangeTracker::Ticket* ticket) { static_cast<RangeTicket*>(ticket)->transfer->Serve(); };
}

void FileTransfer::Begin(BlockRequest* request) {
  request_ = request;
  done_bytes_ = 0;
  futile_tries_ = 0;
  const bool ranged = request->op != BlockRequest::Op::kFlush;
  const uint64_t size_bytes = file_.size_bytes.load(std::memory_order_relaxed);
  if (ranged && (request->offset > size_bytes || request->bytes > size_bytes - request->offset ||
                 (file_.read_only && Writes()))) {
    file_.counters.out_of_range.Add();
    FinishSoon(BlkStatus::kIoError);
    return;
  }
  if (ranged && request->bytes == 0) {
    FinishSoon(BlkStatus::kOk);
    return;
  }
  if (ranged && Writes() && file_.tracks_ranges()) {
    const uint64_t alignment = file_.offset_alignment;
    ticket_.begin = AlignDown(request->offset, alignment);
    ticket_.end = AlignUp(end(), alignment);
    ticket_.exclusive = ticket_.begin != request->offset || ticket_.end != end();
    holds_range_ = true;
    if (!file_.ranges.Enter(&ticket_)) {
      return;  // Serve comes when what overlaps is done
    }
  }
  Serve();
}

void FileTransfer::Serve() {
  switch (request_->op) {
    case BlockRequest::Op::kRead:
    case BlockRequest::Op::kWrite:
      if (TakesAsIs()) {
        TransferRest();
      } else {
        file_.counters.bounced.Add();
        BounceChunk();
      }
      return;
    case BlockRequest::Op::kFlush: Flush(); return;
    case BlockRequest::Op::kDiscard: Discard(); return;
    case BlockRequest::Op::kWriteZeroes: WriteZeroes(); return;
  }
}

// Without O_DIRECT everything. With it, whole blocks in aligned memory, in one call: a vector that has to be
// cut might be cut within a block.
bool FileTransfer::TakesAsIs() const {
  if (!file_.direct) {
    return true;
  }
  const uint64_t block = file_.offset_alignment;
  if (request_->offset % block != 0 || request_->bytes % block != 0 || request_->iov.size() > IOV_MAX) {
    return false;
  }
  const uint64_t memory = file_.memory_alignment;
  return std::all_of(request_->iov.begin(), request_->iov.end(), [&](const iovec& vec) {
    return reinterpret_cast<uintptr_t>(vec.iov_base) % memory == 0 && vec.iov_len % memory == 0;
  });
}

void FileTransfer::TransferRest() {
  step_ = &FileTransfer::OnTransferred;
  const std::span<const iovec> vec = RestOfVector();
  const uint64_t at = request_->offset + done_bytes_;
  if (Writes()) {
    channel_.ring_->Writev(file_.fd.get(), vec, at, WriteFlags(), this);
  } else {
    channel_.ring_->Readv(file_.fd.get(), vec, at, this);
  }
}

// What one call can take of what is left to transfer.
std::span<const iovec> FileTransfer::RestOfVector() {
  if (done_bytes_ == 0) {
    return request_->iov.first(std::min<size_t>(request_->iov.size(), IOV_MAX));
  }
  rest_.clear();
  uint64_t skip = done_bytes_;
  for (const iovec& vec : request_->iov) {
    if (skip >= vec.iov_len) {
      skip -= vec.iov_len;
      continue;
    }
    rest_.push_back({static_cast<std::byte*>(vec.iov_base) + skip, vec.iov_len - skip});
    skip = 0;
    if (rest_.size() == IOV_MAX) {
      break;
    }
  }
  return rest_;
}

void FileTransfer::OnTransferred(int32_t result) {
  if (result < 0) {
    if (Retry(result)) {
      TransferRest();
    } else {
      FinishResult(result);
    }
    return;
  }
  done_bytes_ += static_cast<uint32_t>(result);
  if (done_bytes_ >= request_->bytes) {
    Finish(BlkStatus::kOk);  // a durable write was RWF_DSYNC
    return;
  }
  // Nothing, or with O_DIRECT a part of a block: the end of a file whose size is no multiple of 512 or of the
  // block.
  const bool at_end = result == 0 || (file_.direct && done_bytes_ % file_.offset_alignment != 0);
  if (!Writes() && at_end) {
    ZeroRestOfVector();
    Finish(BlkStatus::kOk);
    return;
  }
  if (at_end) {
    Finish(BlkStatus::kIoError);
    return;
  }
  futile_tries_ = 0;
  file_.counters.continued.Add();
  TransferRest();
}

void FileTransfer::ZeroRestOfVector() {
  uint64_t skip = done_bytes_;
  for (const iovec& vec : request_->iov) {
    if (skip < vec.iov_len) {
      std::memset(static_cast<std::byte*>(vec.iov_base) + skip, 0, vec.iov_len - skip);
    }
    skip -= std::min<uint64_t>(skip, vec.iov_len);
  }
}

bool FileTransfer::Retry(int32_t result) {
  const bool again = (result == -EINTR || result == -EAGAIN) && ++futile_tries_ < kMaxFutileTries;
  if (again) {
    file_.counters.retried.Add();
  }
  return again;
}

void FileTransfer::Flush() {
  if (file_.lost_writes.load(std::memory_order_relaxed)) {
    FinishSoon(BlkStatus::kIoError);
    return;
  }
  if (file_.no_flush || file_.read_only) {
    FinishSoon(BlkStatus::kOk);
    return;
  }
  step_ = &FileTransfer::OnFlushed;
  channel_.ring_->Fsync(file_.fd.get(), /*data_only=*/true, this);
}

void FileTransfer::OnFlushed(int32_t result) {
  if (Retry(result)) {
    Flush();
    return;
  }
  // A disk that sits below O_DIRECT keeps no dirty pages with us, so that it may recover.
  if (result < 0 && !file_.direct) {
    file_.lost_writes.store(true, std::memory_order_relaxed);
  }
  FinishResult(result);
}

bool FileTransfer::Durable() const { return (request_->fua && !file_.no_flush) || file_.write_through; }

int FileTransfer::WriteFlags() const { return Durable() ? RWF_DSYNC : 0; }

// For what is no write (fallocate): a request that has to be durable ends in a flush.
void FileTransfer::FinishWrite() {
  if (!Durable()) {
    Finish(BlkStatus::kOk);
    return;
  }
  step_ = &FileTransfer::OnDurable;
  channel_.ring_->Fsync(file_.fd.get(), /*data_only=*/true, this);
}

void FileTransfer::OnDurable(int32_t result) {
  if (Retry(result)) {
    FinishWrite();
    return;
  }
  if (result < 0 && !file_.direct) {
    file_.lost_writes.store(true, std::memory_order_relaxed);
  }
  FinishResult(result);
}

void FileTransfer::FinishSoon(BlkStatus status) {
  channel_.loop_.Post([this, status] { Finish(status); });
}

void FileTransfer::FinishResult(int32_t result) {
  if (result < 0) {
    request_->sys_errno = -result;
  }
  Finish(result < 0 ? StatusOfErrno(-result) : BlkStatus::kOk);
}

void FileTransfer::Finish(BlkStatus status) {
  if (status != BlkStatus::kOk) {
    file_.counters.errors.Add();
  }
  if (bounce_ != nullptr) {
    channel_.GiveBounceBuffer(std::exchange(bounce_, nullptr));
  }
  if (std::exchange(holds_range_, false)) {
    file_.ranges.Leave(&ticket_);
  }
  BlockRequest* request = std::exchange(request_, nullptr);
  channel_.Recycle(this);
  request->done(request, status);
}

}  // namespace nandu
