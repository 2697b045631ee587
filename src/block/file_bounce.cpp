// The alignment layer: requests that O_DIRECT cannot take as they are go through an aligned buffer, chunk by
// chunk; blocks that are written in part are read first. Such a request holds its blocks alone
// (RangeTracker).
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "base/checked.h"
#include "base/lost_memory.h"
#include "block/file_status.h"
#include "block/file_transfer.h"
#include "loop/event_loop.h"

namespace nandu {

void FileTransfer::BounceBufferFree(std::byte* buffer) {
  bounce_ = buffer;
  BounceChunk();
}

void FileTransfer::BounceChunk() {
  if (bounce_ == nullptr) {
    bounce_ = channel_.TakeBounceBuffer(this);
    if (bounce_ == nullptr) {
      return;  // BounceBufferFree calls again
    }
  }
  const uint64_t block = file_.offset_alignment;
  const uint64_t at = request_->offset + done_bytes_;
  chunk_begin_ = AlignDown(at, block);
  chunk_end_ = std::min(AlignUp(end(), block), chunk_begin_ + FileChannel::kBounceBytes);
  if (!Writes()) {
    Bounce(&FileTransfer::OnChunkRead, chunk_begin_, chunk_end_, /*write=*/false);
    return;
  }
  if (at != chunk_begin_) {
    file_.counters.read_modify_writes.Add();
    Bounce(&FileTransfer::ReadTailBlock, chunk_begin_, chunk_begin_ + block, /*write=*/false);
    return;
  }
  ReadTailBlock();
}

void FileTransfer::ReadTailBlock() {
  const uint64_t block = file_.offset_alignment;
  const bool partial = chunk_end_ > end();
  const bool read_as_head =
      request_->offset + done_bytes_ != chunk_begin_ && chunk_end_ - chunk_begin_ == block;
  if (partial && !read_as_head) {
    file_.counters.read_modify_writes.Add();
    Bounce(&FileTransfer::FillAndWriteChunk, chunk_end_ - block, chunk_end_, /*write=*/false);
    return;
  }
  FillAndWriteChunk();
}

void FileTransfer::FillAndWriteChunk() {
  const uint64_t at = request_->offset + done_bytes_;
  const uint64_t bytes = std::min(chunk_end_, end()) - at;
  std::byte* into = bounce_ + (at - chunk_begin_);
  if (request_->op == BlockRequest::Op::kWriteZeroes) {
    std::memset(into, 0, bytes);
  } else if (!CopyVector(into, done_bytes_, bytes, /*to_vector=*/false)) {
    FinishResult(-EFAULT);  // what io_uring answers to such memory; zeroes in its place are nobody's data
    return;
  }
  Bounce(&FileTransfer::OnChunkWritten, chunk_begin_, chunk_end_, /*write=*/true);
}

void FileTransfer::OnChunkRead() {
  const uint64_t at = request_->offset + done_bytes_;
  const uint64_t bytes = std::min(chunk_end_, end()) - at;
  if (!CopyVector(bounce_ + (at - chunk_begin_), done_bytes_, bytes, /*to_vector=*/true)) {
    FinishResult(-EFAULT);
    return;
  }
  done_bytes_ += bytes;
  if (done_bytes_ == request_->bytes) {
    Finish(BlkStatus::kOk);
    return;
  }
  BounceChunk();
}

void FileTransfer::OnChunkWritten() {
  done_bytes_ += std::min(chunk_end_, end()) - (request_->offset + done_bytes_);
  if (done_bytes_ < request_->bytes) {
    BounceChunk();
    return;
  }
  if (chunk_end_ > file_.size_bytes && !file_.block_device) {
    // The last block reaches past the image: it must not grow, its size is the disk's at the next start.
    step_ = &FileTransfer::OnTailCut;
    channel_.ring_->Run(
        [&file = file_, fd = file_.fd.get()] {
          const MutexLock lock(file.length_mutex);  // the image may be growing at this moment
          return ::ftruncate(fd, static_cast<off_t>(file.size_bytes.load())) == 0 ? 0 : -errno;
        },
        this);
    return;
  }
  Finish(BlkStatus::kOk);
}

void FileTransfer::OnTailCut(int32_t result) { FinishResult(result); }

void FileTransfer::Bounce(Then next, uint64_t begin, uint64_t end_at, bool write) {
  after_bounce_ = next;
  io_at_ = begin;
  io_end_ = end_at;
  io_write_ = write;
  ContinueBounce();
}

void FileTransfer::ContinueBounce() {
  step_ = &FileTransfer::OnBounced;
  io_vec_ = {bounce_ + (io_at_ - chunk_begin_), static_cast<size_t>(io_end_ - io_at_)};
  if (io_write_) {
    channel_.ring_->Writev(file_.fd.get(), {&io_vec_, 1}, io_at_, WriteFlags(), this);
  } else {
    channel_.ring_->Readv(file_.fd.get(), {&io_vec_, 1}, io_at_, this);
  }
}

void FileTransfer::OnBounced(int32_t result) {
  if (result < 0) {
    if (Retry(result)) {
      ContinueBounce();
    } else {
      FinishResult(result);
    }
    return;
  }
  futile_tries_ = 0;
  io_at_ += static_cast<uint32_t>(result);
  const bool at_end = result == 0 || io_at_ % file_.offset_alignment != 0;
  if (io_at_ < io_end_ && at_end) {
    if (io_write_) {
      Finish(BlkStatus::kIoError);
      return;
    }
    std::memset(bounce_ + (io_at_ - chunk_begin_), 0, io_end_ - io_at_);  // past the end of the file
    io_at_ = io_end_;
  }
  if (io_at_ < io_end_) {
    file_.counters.continued.Add();
    ContinueBounce();
    return;
  }
  (this->*after_bounce_)();
}

// Between [at, at + bytes) of the request's vector and `buffer`. False: the host has lost a page of the
// vector (base/lost_memory.h).
bool FileTransfer::CopyVector(std::byte* buffer, uint64_t at, uint64_t bytes, bool to_vector) {
  const uint64_t met = LostMemory::MetByThisThread();
  for (const iovec& vec : request_->iov) {
    if (at >= vec.iov_len) {
      at -= vec.iov_len;
      continue;
    }
    const uint64_t part = std::min<uint64_t>(vec.iov_len - at, bytes);
    std::byte* memory = static_cast<std::byte*>(vec.iov_base) + at;
    std::memcpy(to_vector ? memory : buffer, to_vector ? buffer : memory, part);
    buffer += part;
    bytes -= part;
    at = 0;
    if (bytes == 0) {
      break;
    }
  }
  return LostMemory::MetByThisThread() == met;
}

}  // namespace nandu
