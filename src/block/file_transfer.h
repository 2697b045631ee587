// One request on its way through a file: a small state machine whose steps are I/O operations. Pooled by its
// channel, one loop's thread.
//
// Plain steps use the guest's memory. Where O_DIRECT cannot take the request as it is (an address, a length
// or an offset that is not aligned), it goes through a bounce buffer in chunks, blocks written in part are
// read first, and the range is held alone meanwhile (file_bounce.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <sys/uio.h>
#include <vector>

#include <nandu/block.h>

#include "block/file_backend.h"

namespace nandu {

class FileChannel;

class FileTransfer final : private IoOp {
 public:
  explicit FileTransfer(FileChannel& channel);
  FileTransfer(const FileTransfer&) = delete;
  FileTransfer& operator=(const FileTransfer&) = delete;
  ~FileTransfer() = default;

  void Begin(BlockRequest* request);
  void BounceBufferFree(std::byte* buffer);  // it waited for one; now it has it

 private:
  using Step = void (FileTransfer::*)(int32_t result);
  using Then = void (FileTransfer::*)();

  // file_transfer.cpp
  void Serve();
  void FinishSoon(BlkStatus status);  // from within Begin
  void Finish(BlkStatus status);
  void FinishResult(int32_t result);  // of an operation: 0 or more, or -errno
  void FinishWrite();                 // every byte is written: durable yet?
  void OnDurable(int32_t result);
  bool Retry(int32_t result);  // true: the step is worth another try
  void TransferRest();
  void OnTransferred(int32_t result);
  std::span<const iovec> RestOfVector();
  void ZeroRestOfVector();
  void Flush();
  void OnFlushed(int32_t result);
  bool TakesAsIs() const;
  bool Writes() const { return request_->op != BlockRequest::Op::kRead; }
  bool Durable() const;  // the request asks for it
  int WriteFlags() const;

  // file_zeroes.cpp
  void Discard();
  void OnDiscarded(int32_t result);
  void WriteZeroes();
  void OnZeroed(int32_t result);
  void WriteZeroBuffer();
  void OnZeroBufferWritten(int32_t result);

  // file_bounce.cpp
  void BounceChunk();
  void Bounce(Then next, uint64_t begin, uint64_t end,
              bool write);  // all of [begin, end) between file and bounce buffer
  void ContinueBounce();
  void OnBounced(int32_t result);
  void ReadTailBlock();
  void FillAndWriteChunk();
  void OnChunkRead();
  void OnChunkWritten();
  void OnTailCut(int32_t result);
  bool CopyVector(std::byte* buffer, uint64_t at, uint64_t bytes, bool to_vector);

  uint64_t end() const { return request_->offset + request_->bytes; }

  FileChannel& channel_;
  FileBackend& file_;
  BlockRequest* request_ = nullptr;
  Step step_ = nullptr;        // what the operation in flight leads to
  uint64_t done_bytes_ = 0;    // of the request
  unsigned futile_tries_ = 0;  // retries without progress
  std::vector<iovec> rest_;    // the vector's rest after a short transfer
  int zero_mode_ = 0;          // fallocate's, of the try in flight
  bool holds_range_ = false;
  struct RangeTicket : RangeTracker::Ticket {
    FileTransfer* transfer = nullptr;
  } ticket_;

  std::byte* bounce_ = nullptr;  // the channel's, while this request has it
  uint64_t chunk_begin_ = 0;     // aligned; bounce_ holds [chunk_begin_, chunk_end_)
  uint64_t chunk_end_ = 0;
  uint64_t io_at_ = 0;  // the bounce transfer in flight
  uint64_t io_end_ = 0;
  bool io_write_ = false;
  iovec io_vec_{};
  Then after_bounce_ = nullptr;
};

// A file's channel: one queue's way to it. See BlockChannel for threads and lifetime.
class FileChannel final : public BlockChannel {
 public:
  FileChannel(EventLoop& loop, std::shared_ptr<FileBackend> file);
  ~FileChannel() override;
  void Submit(BlockRequest* request) override;

 private:
  friend class FileTransfer;
  static constexpr uint64_t kBounceBytes = 256 * 1024;
  static constexpr size_t kMaxBounceBuffers = 16;

  // Null when all are taken: BounceBufferFree is called later, in the order they asked.
  std::byte* TakeBounceBuffer(FileTransfer* transfer);
  void GiveBounceBuffer(std::byte* buffer);
  void Recycle(FileTransfer* transfer);

  EventLoop& loop_;
  const std::shared_ptr<FileBackend> file_;
  std::unique_ptr<IoRing> worker_ring_;  // aio=threads on a loop that has io_uring
  IoRing* ring_;
  size_t in_flight_ = 0;
  std::vector<std::unique_ptr<FileTransfer>> transfers_;
  std::vector<FileTransfer*> idle_;
  struct Free {
    void operator()(std::byte* buffer) const;
  };
  std::vector<std::unique_ptr<std::byte, Free>> buffers_;
  std::vector<std::byte*> free_buffers_;
  std::vector<FileTransfer*> waiting_;  // for a buffer
};

}  // namespace nandu
