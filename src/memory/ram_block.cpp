#include "memory/ram_block.h"

#include <algorithm>
#include <cerrno>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <vector>

#include "base/checked.h"
#include "base/lost_memory.h"

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

RamBlock::RamBlock(std::string name, std::byte* host, uint64_t size, Backing backing, const Options& options)
    : name_(std::move(name)),
      host_(host),
      size_(size),
      file_(std::move(backing.file)),
      page_bytes_(backing.page_bytes),
      shared_(options.shared),
      discard_(options.discard) {
  LostMemory::Cover(host_, size_, page_bytes_);
}

Result<std::shared_ptr<RamBlock>> RamBlock::CreateAnonymous(std::string name, uint64_t size,
                                                            const Options& options) {
  return Create(std::move(name), size, Backing{}, options);
}

Result<std::shared_ptr<RamBlock>> RamBlock::CreateFromFile(std::string name, UniqueFd file, uint64_t size,
                                                           const Options& options) {
  struct statfs system {};
  if (fstatfs(file.get(), &system) != 0) {
    return FailErrno(errno, "memory {}: cannot ask for the page size of its file", name);
  }
  Backing backing;
  if (system.f_type == HUGETLBFS_MAGIC) {
    backing.page_bytes = static_cast<uint64_t>(system.f_bsize);
  }
  backing.file = std::move(file);
  return Create(std::move(name), size, std::move(backing), options);
}

Result<std::shared_ptr<RamBlock>> RamBlock::Create(std::string name, uint64_t size, Backing backing,
                                                   const Options& options) {
  if (size == 0 || size % backing.page_bytes != 0) {
    return Fail(Errc::kInvalidArgument, "memory {}: {} bytes is not a multiple of the page size of {}", name,
                size, backing.page_bytes);
  }
  // Where the block is to begin; more than that is given back.
  const uint64_t alignment = std::max(backing.page_bytes, size >= kHugePageBytes ? kHugePageBytes : 0);
  uint64_t reserved = 0;
  if (AddOverflows(size, alignment, &reserved)) {
    return Fail(Errc::kNoMemory, "memory {}: {} bytes do not fit this host's address space", name, size);
  }
  void* const start = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    return FailErrno(errno, "memory {}: cannot reserve {} MiB; give the VM less memory (-m)", name,
                     size >> 20);
  }
  auto* const begin = static_cast<std::byte*>(start);
  const uint64_t head =
      AlignUp(reinterpret_cast<uint64_t>(begin), alignment) - reinterpret_cast<uint64_t>(begin);
  std::byte* const host = begin + head;
  if (head != 0) {
    munmap(begin, head);
  }
  munmap(host + size, alignment - head);
  const int sharing = (options.shared ? MAP_SHARED : MAP_PRIVATE) | (options.reserve ? 0 : MAP_NORESERVE);
  const int source = backing.file ? 0 : MAP_ANONYMOUS;
  if (mmap(host, size, PROT_READ | PROT_WRITE, MAP_FIXED | sharing | source, backing.file.get(), 0) ==
      MAP_FAILED) {
    const int error = errno;
    munmap(host, size);
    return FailErrno(error, "memory {}: cannot map {} MiB{}", name, size >> 20,
                     backing.page_bytes > DirtyBitmap::kPageBytes
                         ? "; are there enough free huge pages (/proc/meminfo)?"
                         : "");
  }
  if (options.huge_pages && backing.page_bytes == DirtyBitmap::kPageBytes) {
    Advise(host, size, MADV_HUGEPAGE);
  }
  if (options.mergeable) {
    Advise(host, size, MADV_MERGEABLE);
  }
  if (!options.in_core_dump) {
    Advise(host, size, MADV_DONTDUMP);
  }
  return std::shared_ptr<RamBlock>(new RamBlock(std::move(name), host, size, std::move(backing), options));
}

RamBlock::~RamBlock() {
  LostMemory::Uncover(host_);
  StopDirtyLog();
  if (discard_) {
    Advise(host_, size_, MADV_REMOVE);
  }
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
