#include "block/qcow2/refcounts.h"

#include <algorithm>

#include "base/check.h"

namespace nandu::qcow2 {

Refcounts::Refcounts(Header& header, ImageFile& file, MetadataMap& metadata, uint64_t cache_bytes)
    : header_(header),
      file_(file),
      metadata_(metadata),
      cache_(header.cluster_bytes(), std::max(cache_bytes, 4 * header.cluster_bytes())) {}

Result<> Refcounts::Load() {
  cache_.ForgetAll();
  first_free_ = 0;
  std::vector<std::byte> bytes(uint64_t{header_.refcount_table_clusters} << header_.cluster_bits);
  TRY(file_.Read(header_.refcount_table_offset, bytes));
  table_.resize(bytes.size() / 8);
  for (size_t i = 0; i < table_.size(); ++i) {
    table_[i] = LoadBe64(bytes.data() + i * 8);
    if ((table_[i] & (header_.cluster_bytes() - 1)) != 0 || table_[i] >= kMaxHostOffset) {
      return Fail(Errc::kCorrupt, "entry {} of its refcount table is no offset of a cluster: {:#x}", i,
                  table_[i]);
    }
    if (table_[i] != 0) {
      metadata_.Add(table_[i] >> header_.cluster_bits, 1);
    }
  }
  metadata_.Add(header_.refcount_table_offset >> header_.cluster_bits, header_.refcount_table_clusters);
  return {};
}

Result<TableCache::Slice*> Refcounts::LoadBlock(uint64_t index) {
  if (index >= table_.size() || table_[index] == 0) {
    return nullptr;
  }
  if (TableCache::Slice* found = cache_.Find(table_[index])) {
    return found;
  }
  if (table_[index] >= file_.size()) {
    return Fail(Errc::kCorrupt, "a refcount block is at {} of a file that has {} bytes: it was cut short",
                table_[index], file_.size());
  }
  if (!cache_.MakeRoom()) {
    TRY(WriteBack());
    NANDU_CHECK(cache_.MakeRoom(), "a cache that was written back has clean slices");
  }
  std::vector<std::byte> bytes(header_.cluster_bytes());
  TRY(file_.Read(table_[index], bytes));
  return cache_.Insert(table_[index], std::move(bytes));
}

// "If refcount_bits implies a sub-byte width, note that bit 0 means the least significant bit in this
// context."
uint64_t Refcounts::Read(const TableCache::Slice& slice, uint64_t in_block) const {
  const unsigned order = header_.refcount_order;
  if (order < 3) {
    const unsigned bits = 1U << order;
    const uint64_t per_byte = 8U >> order;
    const auto byte = static_cast<unsigned>(slice.bytes[in_block / per_byte]);
    return byte >> (in_block % per_byte * bits) & ((1U << bits) - 1);
  }
  const uint64_t width = uint64_t{1} << (order - 3);
  uint64_t count = 0;
  for (uint64_t i = 0; i < width; ++i) {
    count = count << 8 | static_cast<uint64_t>(slice.bytes[in_block * width + i]);
  }
  return count;
}

void Refcounts::Store(std::vector<std::byte>* block, uint64_t in_block, uint64_t count) const {
  const unsigned order = header_.refcount_order;
  if (order < 3) {
    const unsigned bits = 1U << order;
    const uint64_t per_byte = 8U >> order;
    const auto shift = static_cast<unsigned>(in_block % per_byte * bits);
    const unsigned mask = ((1U << bits) - 1) << shift;
    std::byte& byte = (*block)[in_block / per_byte];
    byte =
        static_cast<std::byte>((static_cast<unsigned>(byte) & ~mask) | static_cast<unsigned>(count) << shift);
  } else {
    const uint64_t width = uint64_t{1} << (order - 3);
    for (uint64_t i = 0; i < width; ++i) {
      (*block)[in_block * width + i] = static_cast<std::byte>(count >> (8 * (width - 1 - i)));
    }
  }
}

Result<uint64_t> Refcounts::Get(uint64_t cluster) {
  const TableCache::Slice* const slice = TRY(LoadBlock(cluster / header_.refcounts_per_block()));
  return slice == nullptr ? 0 : Read(*slice, cluster % header_.refcounts_per_block());
}

Result<> Refcounts::Set(uint64_t cluster, uint64_t count) {
  const uint64_t index = cluster / header_.refcounts_per_block();
  TableCache::Slice* slice = TRY(LoadBlock(index));
  if (slice == nullptr) {
    if (count == 0) {
      return {};
    }
    TRY(MakeBlock(index));
    slice = TRY(LoadBlock(index));
  }
  Store(&slice->bytes, cluster % header_.refcounts_per_block(), count);
  cache_.MarkDirty(slice);
  if (count == 0) {
    first_free_ = std::min(first_free_, cluster);
  }
  return {};
}

Result<> Refcounts::Increment(uint64_t first_cluster, uint64_t clusters) {
  for (uint64_t i = 0; i < clusters; ++i) {
    const uint64_t count = TRY(Get(first_cluster + i));
    if (count >= header_.max_refcount()) {
      return Fail(Errc::kUnsupported,
                  "cluster {} has {} references, the most that refcounts of {} bits count", first_cluster + i,
                  count, 1U << header_.refcount_order);
    }
  }
  for (uint64_t i = 0; i < clusters; ++i) {
    const uint64_t count = TRY(Get(first_cluster + i));
    TRY(Set(first_cluster + i, count + 1));
  }
  return {};
}

Result<> Refcounts::Decrement(uint64_t first_cluster, uint64_t clusters) {
  for (uint64_t i = 0; i < clusters; ++i) {
    const uint64_t count = TRY(Get(first_cluster + i));
    if (count == 0) {
      return Fail(Errc::kCorrupt, "cluster {} is in use and its refcount is 0", first_cluster + i);
    }
    TRY(Set(first_cluster + i, count - 1));
  }
  return {};
}

Result<> Refcounts::WriteBack() {
  for (TableCache::Slice* slice : cache_.Dirty()) {
    TRY(file_.Write(slice->offset, slice->bytes));
    cache_.MarkClean(slice);
  }
  return {};
}

}  // namespace nandu::qcow2
