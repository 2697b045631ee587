// A qcow2 image: reading, writing, and what keeps it consistent (docs/interop/qcow2.txt of QEMU).
// Synchronous, over ImageFile; one thread at a time, except what says any thread.
//
//     auto image = TRY(Image::Open({.file = &file, .writable = true}));
//     TRY(image->Write(0, bytes));
//     TRY(image->Flush());
//     TRY(image->Close());
//
// A crash at any point, with any part of the writes since the last flush lost, leaves an image whose every
// reference is counted; clusters may be lost (leaks). What must be on disk first is on disk first:
//   guest data and increments of refcounts, then L2 entries, then L1 entries, then decrements, then the
//   cluster is used again.
// All of it happens in Flush; writes between flushes change caches, and host clusters nobody links to yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "block/qcow2/header.h"
#include "block/qcow2/mapping.h"
#include "block/qcow2/metadata_map.h"
#include "block/qcow2/refcounts.h"

namespace nandu::qcow2 {

struct OpenOptions {
  ImageFile* file = nullptr;        // outlives the image, as what follows does
  ImageFile* data_file = nullptr;   // an image with an external data file needs it
  ReadableFile* backing = nullptr;  // null: what is not allocated reads as zeroes
  bool writable = false;
  std::optional<bool> lazy_refcounts = std::nullopt;      // absent: as the image says
  std::optional<uint64_t> l2_cache_bytes = std::nullopt;  // absent: all of the disk's L2 tables, up to 32 MiB
  std::optional<uint64_t> refcount_cache_bytes = std::nullopt;  // absent: four clusters
  uint64_t l2_slice_bytes = 4096;  // a power of two from 512; never more than a cluster
  bool discard_freed = false;      // clusters that become free are discarded in the file
};

struct Snapshot {
  uint64_t l1_offset = 0;
  uint32_t l1_entries = 0;
  std::string id;
  std::string name;
  uint32_t seconds = 0;
  uint32_t nanoseconds = 0;
  uint64_t vm_clock_ns = 0;
  uint64_t vm_state_bytes = 0;
  uint64_t disk_bytes = 0;
  std::vector<std::byte> unknown_extra;  // what follows the extra data we know
};

struct CheckReport {
  uint64_t corruptions = 0;
  uint64_t leaks = 0;
  std::string first_problem;  // for people; empty: none
};

enum class Unmap : uint8_t { kKeep, kUnmap };

class Image {
 public:
  static Result<std::unique_ptr<Image>> Open(const OpenOptions& options);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image() = default;

  const Header& header() const { return header_; }
  uint64_t size() const { return header_.size_bytes; }
  bool corrupt() const { return corrupt_.load(std::memory_order_relaxed); }  // any thread
  bool writable() const { return options_.writable; }

  // Ranges lie within the disk.
  Result<> Readv(uint64_t offset, std::span<const iovec> into);
  Result<> Read(uint64_t offset, std::span<std::byte> into);
  Result<> Writev(uint64_t offset, std::span<const iovec> from);
  Result<> Write(uint64_t offset, std::span<const std::byte> from);
  Result<> WriteZeroes(uint64_t offset, uint64_t bytes, Unmap unmap);
  Result<> Discard(uint64_t offset, uint64_t bytes);  // a hint: whole clusters become free
  Result<> Flush();
  Result<> Resize(uint64_t disk_bytes);
  Result<> Close();   // flushes, and says in the header that nothing is pending
  Result<> Reload();  // after another program may have changed the image; nothing is dirty

  // The mapping as it is in memory; asks no disk. Any thread.
  std::optional<Extent> TryFind(uint64_t offset, uint64_t max_bytes) const {
    return mapping_->TryFind(offset, max_bytes);
  }
  Result<Extent> Find(uint64_t offset, uint64_t max_bytes) { return mapping_->Find(offset, max_bytes); }
  // Data in place may be written without us. Any thread.
  bool MayWriteInPlace(const Extent& extent) const;
  // A flush has to go through Flush: more than the data file's own is needed. Any thread.
  bool metadata_dirty() const { return mapping_->dirty(); }

  // check.cpp. `repair` counts the references anew; contradictions that counting cannot mend stay.
  enum class Repair : uint8_t { kNo, kYes };
  Result<CheckReport> Check(Repair repair = Repair::kNo);

  // snapshots.cpp
  const std::vector<Snapshot>& snapshots() const { return snapshots_; }
  Result<> CreateSnapshot(const std::string& name, uint32_t seconds, uint32_t nanoseconds);
  Result<> ApplySnapshot(std::string_view id_or_name);
  Result<> DeleteSnapshot(std::string_view id_or_name);

 private:
  friend class Checker;
  struct Retired {  // references that go once the mapping without them is on disk
    uint64_t first_cluster = 0;
    uint64_t clusters = 0;
    bool discard = false;
  };

  explicit Image(const OpenOptions& options) : options_(options), file_(*options.file) {}
  Result<> OpenParts();
  ImageFile& data() const { return options_.data_file != nullptr ? *options_.data_file : file_; }

  // read.cpp
  Result<> ReadExtent(const Extent& extent, uint64_t offset, std::span<const iovec> into);
  Result<> ReadBacking(uint64_t offset, std::span<const iovec> into);
  Result<> ReadCompressed(uint64_t descriptor, uint64_t in_cluster, std::span<const iovec> into);
  Result<bool> ReadsAsZero(uint64_t offset, uint64_t bytes);

  // write.cpp
  Result<> BeginChange();  // before the first change of anything
  Result<> BeginCounting();
  Result<> OwnTable(uint64_t offset);
  Result<uint64_t> WriteInPlace(uint64_t offset, const Extent& extent, std::span<const iovec> from);
  Result<uint64_t> WriteCopying(uint64_t offset, const L2Entry& entry, std::span<const iovec> from);
  struct Target {
    uint64_t host_offset = 0;
    uint64_t clusters = 0;
    bool fresh = false;  // allocated for this
  };
  Result<Target> FindTarget(uint64_t offset, const L2Entry& entry, uint64_t end);
  Result<> WriteRun(const Target& target, uint64_t first_cluster, uint64_t begin, uint64_t pad_begin,
                    uint64_t pad_end, std::span<const iovec> data);
  Result<> Link(const Target& target, uint64_t first_cluster, uint64_t pad_begin, uint64_t pad_end);
  bool HasOwnHost(const L2Entry& entry) const;
  bool LeavesHost(const L2Entry& entry) const;
  void Unallocate(const Target& target);

  // zero.cpp
  Result<> ZeroWholeClusters(uint64_t offset, uint64_t end, Unmap unmap);
  Result<> ZeroPart(uint64_t offset, uint64_t bytes, Unmap unmap);
  Result<L2Entry> ZeroEntry(uint64_t offset, const L2Entry& entry, uint64_t begin, uint64_t end, Unmap unmap);
  void Retire(const L2Entry& entry, bool discard);
  void RetireClusters(uint64_t offset, uint64_t bytes, bool discard);

  // flush.cpp
  Result<> FlushMetadata();
  Result<> ApplyRetired();
  Result<> FlushFile();

  // resize.cpp
  Result<> Grow(uint64_t disk_bytes);
  Result<> Shrink(uint64_t disk_bytes);
  Result<> GrowL1(uint64_t entries);

  // snapshots.cpp
  Result<> LoadSnapshots();
  Result<> StoreSnapshots(const std::vector<Snapshot>& snapshots);
  Result<size_t> FindSnapshot(std::string_view id_or_name) const;
  Result<> CountTable(const std::vector<uint64_t>& l1, int change);
  Result<> RefreshCopied();
  Result<> BeginDirty();
  Result<> RunCounted(const std::function<Result<>()>& work);
  uint64_t SnapshotTableBytes() const;

  tl::unexpected<Error> MarkCorrupt(std::string_view what);

  OpenOptions options_;
  ImageFile& file_;
  Header header_;
  MetadataMap metadata_;
  std::unique_ptr<Refcounts> refcounts_;
  std::unique_ptr<Mapping> mapping_;
  std::vector<Snapshot> snapshots_;
  uint64_t snapshot_table_bytes_ = 0;
  std::vector<Retired> retired_;
  uint64_t retired_clusters_ = 0;
  bool lazy_refcounts_ = false;
  std::atomic<bool> corrupt_{false};
  std::atomic<bool> changing_{false};  // BeginChange was there
  uint64_t decompressed_ = 0;          // the descriptor of the cluster in decompressed_bytes_; 0: none
  std::vector<std::byte> decompressed_bytes_;
};

}  // namespace nandu::qcow2
