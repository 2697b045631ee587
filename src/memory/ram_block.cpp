#include "memory/ram_block.h"

#include <cerrno>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "base/checked.h"

namespace nandu {

namespace {

constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;

// Orders this thread against all others of the process without a fence on their side (membarrier(2)).
void FenceAllThreads() {
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
      syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) {
    return;
  }
  syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

// Policy, not promise: a kernel built without one of these serves the same memory without it.
void Advise(void* at, size_t size, int advice) { (void)madvise(at, size, advice); }

}  // namespace

std::atomic<uint32_t> RamBlock::logging_blocks_{0};

RamBlock::RamBlock(std::string name, std::byte* host, uint64_t size)
    : name_(std::move(name)), host_(host), size_(size) {}

Result<std::shared_ptr<RamBlock>> RamBlock::CreateAnonymous(std::string name, uint64_t size,
                                                            const Options& options) {
  if (size == 0 || size % DirtyBitmap::kPageBytes != 0) {
    return Fail(Errc::kInvalidArgument, "memory {}: {} bytes is not a multiple of the page size of {}", name,
                size, DirtyBitmap::kPageBytes);
  }
  const uint64_t slack = size >= kHugePageBytes ? kHugePageBytes : 0;
  uint64_t reserved = 0;
  if (AddOverflows(size, slack, &reserved)) {
    return Fail(Errc::kNoMemory, "memory {}: {} bytes do not fit this host's address space", name, size);
  }
  void* const start =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    return FailErrno(errno, "memory {}: cannot reserve {} MiB; give the VM less memory (-m)", name,
                     size >> 20);
  }
  auto* const begin = static_cast<std::byte*>(start);
  auto* host = begin;
  if (slack != 0) {
    const uint64_t head =
        AlignUp(reinterpret_cast<uint64_t>(begin), kHugePageBytes) - reinterpret_cast<uint64_t>(begin);
    host = begin + head;
    if (head != 0) {
      munmap(begin, head);
    }
    munmap(host + size, slack - head);
  }
  if (options.huge_pages) {
    Advise(host, size, MADV_HUGEPAGE);
  }
  if (options.mergeable) {
    Advise(host, size, MADV_MERGEABLE);
  }
  if (!options.in_core_dump) {
    Advise(host, size, MADV_DONTDUMP);
  }
  return std::shared_ptr<RamBlock>(new RamBlock(std::move(name), host, size));
}

RamBlock::~RamBlock() {
  StopDirtyLog();
  munmap(host_, size_);
}

void RamBlock::StartDirtyLog() {
  if (log_.load(std::memory_order_relaxed) != nullptr) {
    return;
  }
  if (!bitmap_) {
    bitmap_ = std::make_unique<DirtyBitmap>((size_ + DirtyBitmap::kPageBytes - 1) / DirtyBitmap::kPageBytes);
  } else {
    std::vector<uint64_t> stale((bitmap_->pages() + 63) / 64);
    (void)bitmap_->Harvest(0, stale);
  }
  log_.store(bitmap_.get(), std::memory_order_release);
  logging_blocks_.fetch_add(1, std::memory_order_relaxed);
  // A writer stores data, then tests the flag, with no fence between; this one stands in for theirs.
  FenceAllThreads();
}

void RamBlock::StopDirtyLog() {
  if (log_.exchange(nullptr, std::memory_order_relaxed) != nullptr) {
    logging_blocks_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace nandu
