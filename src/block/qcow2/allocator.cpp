// Where free clusters come from, and how the refcount structures grow to count them.
#include <algorithm>

#include "base/check.h"
#include "block/qcow2/refcounts.h"

namespace nandu::qcow2 {

Result<ClusterRun> Refcounts::Allocate(uint64_t wanted) { return Take(1, wanted); }

Result<ClusterRun> Refcounts::AllocateAll(uint64_t clusters) {
  // Each block that MakeBlock makes interrupts what is free.
  return clusters < header_.refcounts_per_block() ? Take(clusters, clusters) : TakeBehindAll(clusters);
}

// A run too long to lie between two blocks: behind everything that is counted, with its blocks in front of
// it.
Result<ClusterRun> Refcounts::TakeBehindAll(uint64_t clusters) {
  const uint64_t per_block = header_.refcounts_per_block();
  for (;;) {
    uint64_t index = table_.size();
    while (index > 0 && table_[index - 1] == 0) {
      --index;
    }
    const uint64_t blocks = BlocksFor(clusters);
    if (index + blocks > table_.size()) {
      TRY(GrowTable(index + blocks));
      continue;  // the new table lies there now
    }
    const uint64_t first = index * per_block;
    if ((first + blocks + clusters) > kMaxHostOffset >> header_.cluster_bits) {
      return Fail(Errc::kIo, "the image file is as large as qcow2 can describe");
    }
    if (metadata_.Overlaps(first, blocks + clusters)) {
      return Fail(Errc::kCorrupt, "its refcounts say that cluster {} is free, and it holds metadata", first);
    }
    TRY(LayBlocks(first, blocks, blocks + clusters));
    TRY(file_.Flush());
    std::vector<std::byte> entries(blocks * 8);
    for (uint64_t b = 0; b < blocks; ++b) {
      StoreBe64(entries.data() + b * 8, (first + b) << header_.cluster_bits);
    }
    TRY(file_.Write(header_.refcount_table_offset + index * 8, entries));
    for (uint64_t b = 0; b < blocks; ++b) {
      table_[index + b] = (first + b) << header_.cluster_bits;
    }
    metadata_.Add(first, blocks);
    return ClusterRun{(first + blocks) << header_.cluster_bits, clusters};
  }
}

// How many blocks count a run of clusters and, in front of it, themselves.
uint64_t Refcounts::BlocksFor(uint64_t clusters) const {
  const uint64_t per_block = header_.refcounts_per_block();
  uint64_t blocks = 1;
  while (blocks * per_block < blocks + clusters) {
    ++blocks;
  }
  return blocks;
}

// Blocks that lie where they count from, with the first `used` counts 1; nobody links to them yet.
Result<> Refcounts::LayBlocks(uint64_t first_cluster, uint64_t blocks, uint64_t used) {
  const uint64_t per_block = header_.refcounts_per_block();
  for (uint64_t b = 0; b < blocks; ++b) {
    TableCache::Slice block{0, false, std::vector<std::byte>(header_.cluster_bytes())};
    for (uint64_t i = 0; i < per_block && b * per_block + i < used; ++i) {
      Store(&block.bytes, i, 1);
    }
    TRY(file_.Write((first_cluster + b) << header_.cluster_bits, block.bytes));
  }
  return {};
}

// The first run that is long enough. All of its refcount blocks exist before a count changes.
Result<ClusterRun> Refcounts::Take(uint64_t at_least, uint64_t at_most) {
  const uint64_t per_block = header_.refcounts_per_block();
  const uint64_t limit = kMaxHostOffset >> header_.cluster_bits;
  uint64_t begin = first_free_;
  uint64_t end = begin;
  bool first_seen = false;
  while (end - begin < at_most) {
    if (end >= limit) {
      return Fail(Errc::kIo, "the image file is as large as qcow2 can describe");
    }
    if (end / per_block >= table_.size()) {
      if (end - begin >= at_least && end != begin) {
        break;
      }
      TRY(GrowTable(end / per_block + 1));
      begin = end;
      continue;
    }
    if (table_[end / per_block] == 0) {
      TRY(MakeBlock(end / per_block));
    }
    const bool free = TRY(Get(end)) == 0;
    ++end;
    if (free) {
      if (!first_seen) {
        first_seen = true;
        first_free_ = end - 1;
      }
    } else if (end - 1 - begin >= at_least) {
      --end;
      break;
    } else {
      begin = end;
    }
  }
  if (metadata_.Overlaps(begin, end - begin)) {
    return Fail(Errc::kCorrupt, "its refcounts say that cluster {} is free, and it holds metadata", begin);
  }
  for (uint64_t cluster = begin; cluster < end; ++cluster) {
    TRY(Set(cluster, 1));
  }
  if (begin == first_free_) {
    first_free_ = end;
  }
  return ClusterRun{begin << header_.cluster_bits, end - begin};
}

// A block that is missing counts only clusters that are free, so that the first of them can hold it: it
// counts itself. The block is on disk before the table names it.
Result<> Refcounts::MakeBlock(uint64_t index) {
  if (index >= table_.size()) {
    TRY(GrowTable(index + 1));
    if (table_[index] != 0) {
      return {};
    }
  }
  const uint64_t cluster = index * header_.refcounts_per_block();
  if (metadata_.Overlaps(cluster, 1)) {
    return Fail(Errc::kCorrupt, "its refcounts say that cluster {} is free, and it holds metadata", cluster);
  }
  if (!cache_.MakeRoom()) {
    TRY(WriteBack());
    NANDU_CHECK(cache_.MakeRoom(), "a cache that was written back has clean slices");
  }
  const uint64_t offset = cluster << header_.cluster_bits;
  TableCache::Slice* const block = cache_.Insert(offset, std::vector<std::byte>(header_.cluster_bytes()));
  Store(&block->bytes, 0, 1);
  const auto link = [&]() -> Result<> {
    TRY(file_.Write(offset, block->bytes));
    TRY(file_.Flush());
    std::byte entry[8];
    StoreBe64(entry, offset);
    return file_.Write(header_.refcount_table_offset + index * 8, entry);
  };
  if (Result<> linked = link(); !linked) {
    cache_.Forget(offset, header_.cluster_bytes());
    return linked;
  }
  table_[index] = offset;
  metadata_.Add(cluster, 1);
  return {};
}

// A larger table, behind everything that the old one counts: first the blocks that count it and themselves,
// then the table. One write of the header switches over.
Result<> Refcounts::GrowTable(uint64_t needed_entries) {
  const uint64_t per_block = header_.refcounts_per_block();
  const uint64_t cluster_bytes = header_.cluster_bytes();
  const uint64_t first = table_.size() * per_block;
  const uint64_t wanted = std::max(needed_entries, table_.size() + table_.size() / 2);
  uint64_t blocks = 1;
  uint64_t table_clusters = 0;
  for (;;) {
    table_clusters = header_.clusters_for(std::max(wanted, table_.size() + blocks) * 8);
    const uint64_t needed = BlocksFor(table_clusters);
    if (needed <= blocks) {
      break;
    }
    blocks = needed;
  }
  if (table_clusters * cluster_bytes > kMaxRefcountTableBytes) {
    return Fail(Errc::kIo,
                "the image file is as large as its refcount table can describe; make the image anew with "
                "larger clusters");
  }
  const uint64_t used = blocks + table_clusters;
  if (metadata_.Overlaps(first, used)) {
    return Fail(Errc::kCorrupt, "its refcount table does not count all of its metadata");
  }
  std::vector<uint64_t> table(table_);
  table.resize(table_clusters * cluster_bytes / 8);
  TRY(LayBlocks(first, blocks, used));
  for (uint64_t b = 0; b < blocks; ++b) {
    table[table_.size() + b] = (first + b) << header_.cluster_bits;
  }
  std::vector<std::byte> bytes(table_clusters * cluster_bytes);
  for (size_t i = 0; i < table.size(); ++i) {
    StoreBe64(bytes.data() + i * 8, table[i]);
  }
  Header moved = header_;
  moved.refcount_table_offset = (first + blocks) << header_.cluster_bits;
  moved.refcount_table_clusters = static_cast<uint32_t>(table_clusters);
  TRY(file_.Write(moved.refcount_table_offset, bytes));
  TRY(file_.Flush());
  TRY(WriteRefcountTable(file_, moved));
  TRY(file_.Flush());

  const uint64_t old_cluster = header_.refcount_table_offset >> header_.cluster_bits;
  const uint64_t old_clusters = header_.refcount_table_clusters;
  header_.refcount_table_offset = moved.refcount_table_offset;
  header_.refcount_table_clusters = moved.refcount_table_clusters;
  table_ = std::move(table);
  metadata_.Add(first, used);
  metadata_.Remove(old_cluster, old_clusters);
  return Decrement(old_cluster, old_clusters);
}

}  // namespace nandu::qcow2
