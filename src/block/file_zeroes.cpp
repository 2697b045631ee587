// Discard and write-zeroes of a file: holes and zero ranges by fallocate(2), BLKDISCARD for block devices,
// zeroes written where the file system knows neither.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/checked.h"
#include "block/file_status.h"
#include "block/file_transfer.h"
#include "loop/event_loop.h"

namespace nandu {
namespace {

// Never written to: its pages are the kernel's zero page.
constexpr size_t kZeroBytes = 64 * 1024;
alignas(4096) std::byte zero_buffer[kZeroBytes];
constexpr size_t kZeroVectors = 16;
static_assert(IOV_MAX >= kZeroVectors);

const std::array<iovec, kZeroVectors>& ZeroVectors() {
  static const std::array<iovec, kZeroVectors> kVectors = [] {
    std::array<iovec, kZeroVectors> vectors{};
    vectors.fill({zero_buffer, kZeroBytes});
    return vectors;
  }();
  return kVectors;
}

bool NotSupported(int32_t result) { return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV; }

}  // namespace

// Only whole blocks can go; what is left of others stays, which a discard may do.
void FileTransfer::Discard() {
  if (!file_.block_device) {
    if (!file_.has_punch_hole.load(std::memory_order_relaxed)) {
      FinishSoon(BlkStatus::kOk);
      return;
    }
    step_ = &FileTransfer::OnDiscarded;
    channel_.ring_->Fallocate(file_.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request_->offset,
                              request_->bytes, this);
    return;
  }
  const uint64_t begin = AlignUp(request_->offset, file_.logical_block_size);
  const uint64_t end_at = AlignDown(end(), file_.logical_block_size);
  if (begin >= end_at) {
    FinishSoon(BlkStatus::kOk);
    return;
  }
  step_ = &FileTransfer::OnDiscarded;
  channel_.ring_->Run(
      [fd = file_.fd.get(), range = std::array<uint64_t, 2>{begin, end_at - begin}] {
        return ::ioctl(fd, BLKDISCARD, range.data()) == 0 ? 0 : -errno;
      },
      this);
}

void FileTransfer::OnDiscarded(int32_t result) {
  if (Retry(result)) {
    Discard();
    return;
  }
  if (NotSupported(result)) {
    file_.has_punch_hole.store(file_.block_device, std::memory_order_relaxed);
    result = 0;  // a discard is a hint
  }
  FinishResult(result);
}

// Deallocation where it is allowed and known, else a zero range, else zeroes.
void FileTransfer::WriteZeroes() {
  const bool aligned =
      !file_.block_device || ((request_->offset | request_->bytes) % file_.logical_block_size) == 0;
  step_ = &FileTransfer::OnZeroed;
  if (aligned && request_->may_unmap && file_.has_punch_hole.load(std::memory_order_relaxed)) {
    zero_mode_ = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  } else if (aligned && file_.has_zero_range.load(std::memory_order_relaxed)) {
    zero_mode_ = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  } else {
    file_.counters.zeroes_written.Add();
    WriteZeroBuffer();
    return;
  }
  channel_.ring_->Fallocate(file_.fd.get(), zero_mode_, request_->offset, request_->bytes, this);
}

void FileTransfer::OnZeroed(int32_t result) {
  if (result == 0) {
    FinishWrite();
    return;
  }
  if (Retry(result)) {
    WriteZeroes();
    return;
  }
  if (NotSupported(result)) {
    const bool punch = (zero_mode_ & FALLOC_FL_PUNCH_HOLE) != 0;
    (punch ? file_.has_punch_hole : file_.has_zero_range).store(false, std::memory_order_relaxed);
    WriteZeroes();
    return;
  }
  if (result == -EINVAL || result == -EPERM || result == -EBUSY || result == -ETXTBSY) {
    file_.counters.zeroes_written.Add();  // not this range: some file systems refuse what overlaps other I/O
    WriteZeroBuffer();
    return;
  }
  FinishResult(result);
}

void FileTransfer::WriteZeroBuffer() {
  const uint64_t at = request_->offset + done_bytes_;
  const uint64_t left = request_->bytes - done_bytes_;
  if (file_.direct && (at | left) % file_.offset_alignment != 0) {
    BounceChunk();
    return;
  }
  const size_t vectors = static_cast<size_t>(std::min<uint64_t>(left / kZeroBytes, kZeroVectors));
  step_ = &FileTransfer::OnZeroBufferWritten;
  if (vectors > 0) {
    channel_.ring_->Writev(file_.fd.get(), std::span(ZeroVectors()).first(vectors), at, WriteFlags(), this);
    return;
  }
  io_vec_ = {zero_buffer, static_cast<size_t>(left)};
  channel_.ring_->Writev(file_.fd.get(), {&io_vec_, 1}, at, WriteFlags(), this);
}

void FileTransfer::OnZeroBufferWritten(int32_t result) {
  if (result <= 0) {
    if (Retry(result)) {
      WriteZeroBuffer();
    } else {
      FinishResult(result == 0 ? -EIO : result);
    }
    return;
  }
  futile_tries_ = 0;
  done_bytes_ += static_cast<uint32_t>(result);
  if (done_bytes_ >= request_->bytes) {
    Finish(BlkStatus::kOk);
    return;
  }
  WriteZeroBuffer();
}

}  // namespace nandu
