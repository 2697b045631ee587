// Where the disk's bytes are: L1 and L2 tables ("Cluster mapping", "Extended L2 Entries") through a bounded
// write-back cache. TryFind may be called by any thread, and asks memory alone; everything else is the
// image's one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/thread_annotations.h"
#include "block/qcow2/header.h"
#include "block/qcow2/metadata_map.h"
#include "block/qcow2/table_cache.h"

namespace nandu::qcow2 {

struct L2Entry {
  uint64_t descriptor = 0;
  uint64_t subclusters = 0;  // extended entries
  bool operator==(const L2Entry&) const = default;

  bool compressed() const { return (descriptor & kCompressedFlag) != 0; }
  uint64_t host_offset() const { return descriptor & kOffsetMask; }  // of a standard cluster
  bool copied() const { return (descriptor & kCopied) != 0; }
};

enum class ExtentKind : uint8_t { kUnallocated, kZero, kData, kCompressed };

// A part of the disk that is of one kind; of data it lies in one piece.
struct Extent {
  ExtentKind kind = ExtentKind::kUnallocated;
  bool owned = false;  // kData: may be written in place
  uint64_t bytes = 0;
  uint64_t host_offset = 0;  // kData: of its first byte. kCompressed: the cluster's descriptor
  bool operator==(const Extent&) const = default;
};

// What one entry says of [offset, offset + max_bytes), within its cluster; nullopt: it contradicts the
// format.
std::optional<Extent> ExtentAt(const Header& header, const L2Entry& entry, uint64_t offset,
                               uint64_t max_bytes);

// Where a compressed cluster's bytes are.
struct CompressedRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;  // at most; decompression ends with the cluster
};
CompressedRange CompressedAt(const Header& header, uint64_t descriptor);

class Mapping {
 public:
  Mapping(Header& header, ImageFile& file, MetadataMap& metadata, uint64_t slice_bytes, uint64_t cache_bytes);

  // Called when the cache is full of dirty slices: it writes them back, in the order that a crash demands.
  void SetWriteBack(std::function<Result<>()> write_back) { write_back_ = std::move(write_back); }

  Result<> Load();  // the L1 table; forgets what was cached
  // The extent at `offset`, `max_bytes` long at most, never past the disk's end.
  std::optional<Extent> TryFind(uint64_t offset,
                                uint64_t max_bytes) const;  // any thread; nullopt: not cached, or damaged
  Result<Extent> Find(uint64_t offset, uint64_t max_bytes);

  Result<L2Entry> Get(uint64_t offset);
  // Its table must be one that may be written: see l1().
  Result<> Set(uint64_t offset, const L2Entry& entry);

  uint64_t l1(uint64_t index) const;  // the entry as it is, with kCopied
  uint64_t l1_index(uint64_t offset) const { return offset / layout_.l2_span(); }
  uint64_t l1_entries() const;
  void SetL1(uint64_t index, uint64_t entry);
  void ReplaceL1(std::vector<uint64_t> table);  // the header says where it is by now; it is on disk already
  void SetDiskBytes(uint64_t bytes);            // the header's size has changed
  // A table's place in the file is another's from now on.
  void ForgetTable(uint64_t offset);

  bool l2_dirty() const;
  bool l1_dirty() const { return l1_dirty_from_ < l1_dirty_to_; }
  Result<> WriteBackL2();
  Result<> WriteBackL1();
  // Something of the mapping is not on disk. Any thread.
  bool dirty() const { return dirty_.load(std::memory_order_acquire); }
  void UpdateDirty() { dirty_.store(l2_dirty() || l1_dirty(), std::memory_order_release); }

  Result<std::vector<uint64_t>> ReadL1(uint64_t offset, uint64_t entries);  // another L1 table, from the file
  Result<std::vector<L2Entry>> ReadL2(uint64_t offset);                     // from the file

 private:
  uint64_t SliceOffset(uint64_t table_offset, uint64_t offset) const;
  size_t InSlice(uint64_t offset) const;  // of the entry, bytes
  L2Entry EntryIn(const TableCache::Slice& slice, uint64_t offset) const;
  Result<TableCache::Slice*> LoadSlice(uint64_t table_offset, uint64_t offset);
  std::optional<Extent> Walk(const TableCache::Slice* slice, uint64_t offset, uint64_t max_bytes) const;

  Header& header_;
  const Header layout_;  // what never changes of it, for any thread
  const uint64_t slice_bytes_;
  ImageFile& file_;
  MetadataMap& metadata_;
  std::function<Result<>()> write_back_;
  mutable Mutex mutex_;
  mutable TableCache cache_ NANDU_TA(guarded_by(mutex_));
  std::vector<uint64_t> l1_ NANDU_TA(guarded_by(mutex_));
  uint64_t disk_bytes_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint64_t l1_dirty_from_ = UINT64_MAX;
  uint64_t l1_dirty_to_ = 0;
  std::atomic<bool> dirty_{false};
};

}  // namespace nandu::qcow2
