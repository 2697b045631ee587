// An open image file or block device as its channels share it. Filled once by FileNode; what changes later is
// atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/counter.h"
#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "block/range_tracker.h"

namespace nandu {

struct FileCounters {
  Counter bounced;             // transfers through a bounce buffer: memory that O_DIRECT cannot take
  Counter read_modify_writes;  // blocks read to change a part of them
  Counter continued;           // short transfers
  Counter retried;             // EINTR, EAGAIN
  Counter zeroes_written;      // write-zeroes that had to write
  Counter errors;              // requests that failed
  Counter out_of_range;  // requests beyond the end or writes to a read-only node: our own caller's mistake
};

struct FileBackend {
  UniqueFd fd;
  std::string path;
  // What the guest sees: a file's size rounded up to 512. It grows while the image is used (block_resize).
  std::atomic<uint64_t> size_bytes{0};
  Mutex length_mutex;             // of who changes the file's length
  uint32_t offset_alignment = 1;  // O_DIRECT: offsets and lengths
  uint32_t memory_alignment = 1;  // O_DIRECT: addresses
  uint32_t logical_block_size = 512;
  uint32_t physical_block_size = 512;
  bool direct = false;
  bool block_device = false;
  bool read_only = false;
  bool no_flush = false;
  bool write_through = false;   // every write is durable when it is done
  bool worker_threads = false;  // aio=threads although the loop has io_uring

  // Which fallocate modes the file system has turned down; asked once.
  std::atomic<bool> has_zero_range{true};
  std::atomic<bool> has_punch_hole{true};
  // After a failed fdatasync the kernel has dropped what it could not write and forgets the error: from then
  // on no flush may succeed.
  std::atomic<bool> lost_writes{false};

  RangeTracker ranges;  // used when blocks are larger than 512 bytes: only then parts of blocks are written
  FileCounters counters;

  bool tracks_ranges() const { return offset_alignment > 512; }
};

}  // namespace nandu
