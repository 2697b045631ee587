#include <cstdlib>

#include "base/check.h"
#include "block/file_transfer.h"
#include "block/worker_ring.h"
#include "loop/event_loop.h"

namespace nandu {

FileChannel::FileChannel(EventLoop& loop, std::shared_ptr<FileBackend> file)
    : loop_(loop), file_(std::move(file)), ring_(&loop.ring()) {
  if (file_->worker_threads && ring_->engine() != "threads") {
    worker_ring_ = std::make_unique<WorkerRing>(*ring_);
    ring_ = worker_ring_.get();
  }
}

FileChannel::~FileChannel() { NANDU_CHECK(in_flight_ == 0, "a channel is destroyed with nothing in flight"); }

void FileChannel::Submit(BlockRequest* request) {
  if (idle_.empty()) {
    transfers_.push_back(std::make_unique<FileTransfer>(*this));
    idle_.push_back(transfers_.back().get());
  }
  FileTransfer* transfer = idle_.back();
  idle_.pop_back();
  ++in_flight_;
  transfer->Begin(request);
}

void FileChannel::Recycle(FileTransfer* transfer) {
  --in_flight_;
  idle_.push_back(transfer);
}

std::byte* FileChannel::TakeBounceBuffer(FileTransfer* transfer) {
  if (free_buffers_.empty() && buffers_.size() < kMaxBounceBuffers) {
    // Whole blocks in memory of the strictest alignment there is.
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(64 * 1024, kBounceBytes));
    NANDU_CHECK(memory != nullptr, "there is memory for a bounce buffer");
    buffers_.emplace_back(memory);
    free_buffers_.push_back(memory);
  }
  if (free_buffers_.empty()) {
    waiting_.push_back(transfer);
    return nullptr;
  }
  std::byte* buffer = free_buffers_.back();
  free_buffers_.pop_back();
  return buffer;
}

void FileChannel::GiveBounceBuffer(std::byte* buffer) {
  if (waiting_.empty()) {
    free_buffers_.push_back(buffer);
    return;
  }
  FileTransfer* next = waiting_.front();
  waiting_.erase(waiting_.begin());
  next->BounceBufferFree(buffer);
}

void FileChannel::Free::operator()(std::byte* buffer) const { std::free(buffer); }

}  // namespace nandu
