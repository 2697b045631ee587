// Reference counts of host clusters, and who gets a free one ("Host cluster management"). Counts live in a
// write-back cache: an increment is on disk after WriteBack and a flush, which whoever links to the cluster
// waits for. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "block/qcow2/header.h"
#include "block/qcow2/metadata_map.h"
#include "block/qcow2/table_cache.h"

namespace nandu::qcow2 {

struct ClusterRun {
  uint64_t offset = 0;    // in the file, bytes
  uint64_t clusters = 0;  // one or more
};

class Refcounts {
 public:
  // `cache_bytes` holds four clusters at least. Everything outlives it.
  Refcounts(Header& header, ImageFile& file, MetadataMap& metadata, uint64_t cache_bytes);

  Result<> Load();  // the refcount table; forgets what was cached
  Result<uint64_t> Get(uint64_t cluster);
  Result<> Set(uint64_t cluster, uint64_t count);
  // Fails without a change when one of the counts would not fit. Counts that fall to 0 are free at once.
  Result<> Increment(uint64_t first_cluster, uint64_t clusters);
  Result<> Decrement(uint64_t first_cluster, uint64_t clusters);
  // A run of free clusters, as many of `wanted` as lie together (or all: AllocateAll); their counts are 1.
  Result<ClusterRun> Allocate(uint64_t wanted);
  Result<ClusterRun> AllocateAll(uint64_t clusters);
  // Dirty counts into the file; not flushed.
  Result<> WriteBack();
  bool dirty() { return cache_.dirty_slices() != 0; }

  const std::vector<uint64_t>& table() const { return table_; }

 private:
  Result<TableCache::Slice*> LoadBlock(uint64_t index);  // null: there is none, all its counts are 0
  Result<> MakeBlock(uint64_t index);                    // allocator.cpp
  Result<> GrowTable(uint64_t needed_entries);           // allocator.cpp
  uint64_t Read(const TableCache::Slice& slice, uint64_t in_block) const;
  void Store(std::vector<std::byte>* block, uint64_t in_block, uint64_t count) const;

  // allocator.cpp
  Result<ClusterRun> Take(uint64_t at_least, uint64_t at_most);
  Result<ClusterRun> TakeBehindAll(uint64_t clusters);
  uint64_t BlocksFor(uint64_t clusters) const;
  Result<> LayBlocks(uint64_t first_cluster, uint64_t blocks, uint64_t used);

  Header& header_;
  ImageFile& file_;
  MetadataMap& metadata_;
  TableCache cache_;
  std::vector<uint64_t> table_;
  uint64_t first_free_ = 0;  // clusters before it are not free
};

}  // namespace nandu::qcow2
