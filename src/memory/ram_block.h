// One host mapping that backs guest RAM or ROM: private anonymous memory, or a file (a memfd, hugetlbfs, any
// other). Unmapped when the last user lets go: the flat views, and the
// requests that pin them. Any thread may mark pages dirty; the log is started, stopped and harvested by one
// thread (the dirty tracker's).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "memory/dirty_bitmap.h"

namespace nandu {

class RamBlock {
 public:
  struct Options {
    bool huge_pages = true;    // MADV_HUGEPAGE, as QEMU's memory-backend-ram
    bool mergeable = true;     // MADV_MERGEABLE (mem-merge)
    bool in_core_dump = true;  // dump-guest-core
    bool shared = false;       // what the guest writes is seen by others who map the same memory
    bool reserve = false;      // the host promises the memory now, or refuses (mmap(2), MAP_NORESERVE)
    bool discard = false;      // a file's content is of no use once the VM has ended
  };
  // Private anonymous memory, sparse until touched. `size` in bytes, a multiple of the page size. Memory of 2
  // MiB and more begins at a multiple of 2 MiB, so that KVM can map huge pages. `shared`: anonymous memory
  // that a child would share, as QEMU's share=on.
  static Result<std::shared_ptr<RamBlock>> CreateAnonymous(std::string name, uint64_t size,
                                                           const Options& options);
  // The first `size` bytes of a file, which is at least as long; `size` is a multiple of the file's pages.
  static Result<std::shared_ptr<RamBlock>> CreateFromFile(std::string name, UniqueFd file, uint64_t size,
                                                          const Options& options);

  ~RamBlock();
  RamBlock(const RamBlock&) = delete;
  RamBlock& operator=(const RamBlock&) = delete;

  const std::string& name() const { return name_; }  // "pc.ram", "pc.bios": the id of its migration section
  std::byte* host() const { return host_; }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {host_, size_}; }
  int fd() const { return file_.get(); }               // -1: anonymous
  uint64_t page_bytes() const { return page_bytes_; }  // of what backs it: 4 KiB, or hugetlbfs's
  bool shared() const { return shared_; }

  // Whether any block of the process logs: the one relaxed test of a writer while none does.
  static bool AnyLogging() { return logging_blocks_.load(std::memory_order_relaxed) != 0; }
  // After the bytes were written, before the guest is told.
  void MarkDirty(uint64_t offset, uint64_t len) {
    if (AnyLogging()) [[unlikely]] {
      if (DirtyBitmap* const log = log_.load(std::memory_order_acquire)) {
        log->MarkBytes(offset, len);
      }
    }
  }
  // Starts with a clean bitmap. When this returns, every write that was not marked is visible to the caller.
  void StartDirtyLog();
  void StopDirtyLog();
  DirtyBitmap* dirty_log() const {
    return log_.load(std::memory_order_acquire);
  }  // null while it does not log

 private:
  struct Backing {
    UniqueFd file;
    uint64_t page_bytes = 4096;
  };
  RamBlock(std::string name, std::byte* host, uint64_t size, Backing backing, const Options& options);
  static Result<std::shared_ptr<RamBlock>> Create(std::string name, uint64_t size, Backing backing,
                                                  const Options& options);
  static std::atomic<uint32_t> logging_blocks_;
  const std::string name_;
  std::byte* const host_;
  const uint64_t size_;
  const UniqueFd file_;
  const uint64_t page_bytes_;
  const bool shared_;
  const bool discard_;
  std::atomic<DirtyBitmap*> log_{nullptr};
  std::unique_ptr<DirtyBitmap> bitmap_;  // kept once made: a late writer may still hold it
};

}  // namespace nandu
