// What -blockdev, blockdev-add and -drive say about an image, as described structs: parsing, help and schemas
// come from them. The names and defaults are QEMU's (docs/devel: qapi/block-core.json there); what stands
// here works, what does not is refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/described.h"

namespace nandu {

// native is Linux's older asynchronous I/O; io_uring serves it too: the same O_DIRECT path to the disk, the
// same results.
enum class AioEngine : uint8_t { kThreads, kNative, kIoUring };
BOOST_DESCRIBE_ENUM(AioEngine, kThreads, kNative, kIoUring)
inline std::span<const WireName> WireNames(const AioEngine*) {
  static constexpr WireName kNames[] = {{"kIoUring", "io_uring"}};
  return kNames;
}

enum class ImageLocking : uint8_t { kAuto, kOn, kOff };
BOOST_DESCRIBE_ENUM(ImageLocking, kAuto, kOn, kOff)

enum class DiscardPolicy : uint8_t { kIgnore, kUnmap, kOff, kOn };  // off is ignore, on is unmap
BOOST_DESCRIBE_ENUM(DiscardPolicy, kIgnore, kUnmap, kOff, kOn)

enum class DetectZeroes : uint8_t { kOff, kOn, kUnmap };
BOOST_DESCRIBE_ENUM(DetectZeroes, kOff, kOn, kUnmap)

struct CacheOptions {
  std::optional<bool> direct;    // O_DIRECT: past the host's page cache
  std::optional<bool> no_flush;  // flushes do nothing: for images that may be lost
};
BOOST_DESCRIBE_STRUCT(CacheOptions, (), (direct, no_flush))

// What every node takes. What is absent is inherited by a child that is written inside its parent, or has
// QEMU's default.
struct NodeOptions {
  std::optional<std::string> node_name;
  std::optional<bool> read_only;
  std::optional<bool> auto_read_only;  // open read-only when writing is not allowed, and only complain when
                                       // somebody wants to write
  std::optional<DiscardPolicy> discard;
  std::optional<DetectZeroes> detect_zeroes;  // writes of zeroes become write-zeroes
  std::optional<bool> force_share;            // read-only use of an image that somebody else writes
  CacheOptions cache;
};
BOOST_DESCRIBE_STRUCT(NodeOptions, (),
                      (node_name, read_only, auto_read_only, discard, detect_zeroes, force_share, cache))

// driver=file: a regular file. driver=host_device: a block device of the host.
struct FileOptions : NodeOptions {
  std::optional<std::string> filename;
  std::optional<AioEngine> aio;  // absent: io_uring where the host has it, else threads
  ImageLocking locking = ImageLocking::kAuto;
};
BOOST_DESCRIBE_STRUCT(FileOptions, (NodeOptions), (filename, aio, locking))

// driver=raw: the bytes of its child `file`, or a part of them. `file` itself (a node's name, or options in
// place) is taken out before.
struct RawOptions : NodeOptions {
  std::optional<uint64_t> offset;  // bytes
  std::optional<uint64_t> size;    // bytes
};
BOOST_DESCRIBE_STRUCT(RawOptions, (NodeOptions), (offset, size))

// driver=qcow2. `file`, `data-file` and `backing` (each a node's name, or options in place; backing may be
// null) are taken out before. Sizes of caches are in bytes; absent: see qcow2/image.h.
struct Qcow2Options : NodeOptions {
  std::optional<bool> lazy_refcounts;
  std::optional<uint64_t> cache_size, l2_cache_size, l2_cache_entry_size, refcount_cache_size;
};
BOOST_DESCRIBE_STRUCT(Qcow2Options, (NodeOptions),
                      (lazy_refcounts, cache_size, l2_cache_size, l2_cache_entry_size, refcount_cache_size))

// cache= of -drive: three switches in one word.
enum class CacheMode : uint8_t { kNone, kWriteback, kWritethrough, kDirectsync, kUnsafe, kOff };
BOOST_DESCRIBE_ENUM(CacheMode, kNone, kWriteback, kWritethrough, kDirectsync, kUnsafe, kOff)

// -drive, without what belongs to the disk (if, serial, werror ...). The dotted names are one word each
// there.
struct DriveOptions {
  std::optional<std::string> file;
  std::optional<std::string> format;
  std::optional<std::string> node_name;
  std::optional<CacheMode> cache;
  std::optional<bool> cache_direct, cache_no_flush, cache_writeback;
  std::optional<AioEngine> aio;
  std::optional<DiscardPolicy> discard;
  std::optional<DetectZeroes> detect_zeroes;
  std::optional<bool> readonly, read_only, auto_read_only;
  std::optional<bool> force_share;
  ImageLocking file_locking = ImageLocking::kAuto;
  bool snapshot = false;                 // nothing is written to the image; what is, goes with the VM
  std::optional<uint64_t> offset, size;  // of a raw image in its file
  // Of a qcow2 image.
  std::optional<bool> lazy_refcounts;
  std::optional<uint64_t> cache_size, l2_cache_size, l2_cache_entry_size, refcount_cache_size;
};
BOOST_DESCRIBE_STRUCT(DriveOptions, (),
                      (file, format, node_name, cache, cache_direct, cache_no_flush, cache_writeback, aio,
                       discard, detect_zeroes, readonly, read_only, auto_read_only, force_share, file_locking,
                       snapshot, offset, size, lazy_refcounts, cache_size, l2_cache_size, l2_cache_entry_size,
                       refcount_cache_size))
inline std::span<const WireName> WireNames(const DriveOptions*) {
  static constexpr WireName kNames[] = {{"cache_direct", "cache.direct"},
                                        {"cache_no_flush", "cache.no-flush"},
                                        {"cache_writeback", "cache.writeback"},
                                        {"file_locking", "file.locking"}};
  return kNames;
}

// As QEMU: zeroes that deallocate where nothing may be deallocated are a contradiction.
Result<> CheckDetectZeroes(DetectZeroes detect_zeroes, bool unmap);

inline bool Unmaps(const std::optional<DiscardPolicy>& discard) {
  return discard == DiscardPolicy::kUnmap || discard == DiscardPolicy::kOn;
}

// The switches a cache mode stands for: direct, no_flush, and whether the disk has a write cache.
struct CacheSwitches {
  bool direct = false;
  bool no_flush = false;
  bool write_cache = true;
  bool operator==(const CacheSwitches&) const = default;
};
CacheSwitches SwitchesOf(CacheMode mode);

// "cannot be both": readonly= and read-only= that disagree, and the like.
Result<> Validate(const DriveOptions& options);

}  // namespace nandu
