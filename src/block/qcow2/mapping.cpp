#include "block/qcow2/mapping.h"

#include <algorithm>

#include "base/check.h"

namespace nandu::qcow2 {

Mapping::Mapping(Header& header, ImageFile& file, MetadataMap& metadata, uint64_t slice_bytes,
                 uint64_t cache_bytes)
    : header_(header),
      layout_(header),
      slice_bytes_(slice_bytes),
      file_(file),
      metadata_(metadata),
      cache_(slice_bytes, cache_bytes),
      disk_bytes_(header.size_bytes) {}

Result<std::vector<uint64_t>> Mapping::ReadL1(uint64_t offset, uint64_t entries) {
  std::vector<std::byte> bytes(entries * 8);
  TRY(file_.Read(offset, bytes));
  std::vector<uint64_t> table(entries);
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = LoadBe64(bytes.data() + i * 8);
    if ((table[i] & kOffsetMask & (header_.cluster_bytes() - 1)) != 0) {
      return Fail(Errc::kCorrupt, "entry {} of its L1 table is no offset of a cluster: {:#x}", i, table[i]);
    }
  }
  return table;
}

Result<> Mapping::Load() {
  std::vector<uint64_t> table = TRY(ReadL1(header_.l1_offset, header_.l1_entries));
  metadata_.Add(header_.l1_offset >> header_.cluster_bits, header_.clusters_for(table.size() * 8));
  for (const uint64_t entry : table) {
    if ((entry & kOffsetMask) != 0) {
      metadata_.Add((entry & kOffsetMask) >> header_.cluster_bits, 1);
    }
  }
  const MutexLock lock(mutex_);
  cache_.ForgetAll();
  l1_ = std::move(table);
  disk_bytes_ = header_.size_bytes;
  l1_dirty_from_ = UINT64_MAX;
  l1_dirty_to_ = 0;
  dirty_ = false;
  return {};
}

uint64_t Mapping::SliceOffset(uint64_t table_offset, uint64_t offset) const {
  const uint64_t in_table = (offset % layout_.l2_span() >> layout_.cluster_bits) * layout_.l2_entry_bytes();
  return table_offset + AlignDown(in_table, slice_bytes_);
}

size_t Mapping::InSlice(uint64_t offset) const {
  const uint64_t in_table = (offset % layout_.l2_span() >> layout_.cluster_bits) * layout_.l2_entry_bytes();
  return in_table & (slice_bytes_ - 1);
}

L2Entry Mapping::EntryIn(const TableCache::Slice& slice, uint64_t offset) const {
  const std::byte* const at = slice.bytes.data() + InSlice(offset);
  return {LoadBe64(at), layout_.extended_l2() ? LoadBe64(at + 8) : 0};
}

// From `offset` on, as long as it is one extent and one slice. `slice` null: there is no table.
std::optional<Extent> Mapping::Walk(const TableCache::Slice* slice, uint64_t offset,
                                    uint64_t max_bytes) const {
  const uint64_t slice_span = slice_bytes_ / layout_.l2_entry_bytes() << layout_.cluster_bits;
  if (slice == nullptr) {
    return Extent{ExtentKind::kUnallocated, false,
                  std::min(max_bytes, layout_.l2_span() - offset % layout_.l2_span()), 0};
  }
  max_bytes = std::min(max_bytes, slice_span - offset % slice_span);
  std::optional<Extent> extent = ExtentAt(layout_, EntryIn(*slice, offset), offset, max_bytes);
  if (!extent || extent->kind == ExtentKind::kCompressed) {
    return extent;
  }
  while (extent->bytes < max_bytes) {
    const uint64_t at = offset + extent->bytes;
    const std::optional<Extent> next = ExtentAt(layout_, EntryIn(*slice, at), at, max_bytes - extent->bytes);
    const bool follows =
        next && next->kind == extent->kind && next->owned == extent->owned &&
        (next->kind != ExtentKind::kData || next->host_offset == extent->host_offset + extent->bytes);
    if (!follows) {
      break;
    }
    extent->bytes += next->bytes;
  }
  return extent;
}

std::optional<Extent> Mapping::TryFind(uint64_t offset, uint64_t max_bytes) const {
  const MutexLock lock(mutex_);
  if (offset >= disk_bytes_) {
    return std::nullopt;
  }
  max_bytes = std::min(max_bytes, disk_bytes_ - offset);
  const uint64_t table = l1_[l1_index(offset)] & kOffsetMask;
  const TableCache::Slice* const slice = table == 0 ? nullptr : cache_.Find(SliceOffset(table, offset));
  if (table != 0 && slice == nullptr) {
    return std::nullopt;
  }
  return Walk(slice, offset, max_bytes);
}

Result<TableCache::Slice*> Mapping::LoadSlice(uint64_t table_offset, uint64_t offset) {
  const uint64_t at = SliceOffset(table_offset, offset);
  bool room = false;
  {
    const MutexLock lock(mutex_);
    if (TableCache::Slice* found = cache_.Find(at)) {
      return found;
    }
    room = cache_.MakeRoom();
  }
  if (at >= file_.size()) {
    return Fail(Errc::kCorrupt, "an L2 table is at {} of a file that has {} bytes: it was cut short", at,
                file_.size());
  }
  if (!room) {
    TRY(write_back_());
  }
  std::vector<std::byte> bytes(slice_bytes_);
  TRY(file_.Read(at, bytes));
  const MutexLock lock(mutex_);
  NANDU_CHECK(cache_.MakeRoom(), "a cache that was written back has clean slices");
  return cache_.Insert(at, std::move(bytes));
}

Result<Extent> Mapping::Find(uint64_t offset, uint64_t max_bytes) {
  if (offset < header_.size_bytes) {
    const uint64_t table = l1(l1_index(offset)) & kOffsetMask;
    const TableCache::Slice* const slice = table == 0 ? nullptr : TRY(LoadSlice(table, offset));
    const MutexLock lock(mutex_);
    if (const std::optional<Extent> found = Walk(slice, offset, std::min(max_bytes, disk_bytes_ - offset))) {
      return *found;
    }
  }
  return Fail(Errc::kCorrupt, "the L2 entry for byte {} of the disk is damaged", offset);
}

Result<L2Entry> Mapping::Get(uint64_t offset) {
  const uint64_t table = l1(l1_index(offset)) & kOffsetMask;
  if (table == 0) {
    return L2Entry{};
  }
  const TableCache::Slice* const slice = TRY(LoadSlice(table, offset));
  const MutexLock lock(mutex_);
  const L2Entry entry = EntryIn(*slice, offset);
  if (!ExtentAt(header_, entry, offset, 1)) {
    return Fail(Errc::kCorrupt, "the L2 entry for byte {} of the disk is damaged: {:#x}", offset,
                entry.descriptor);
  }
  return entry;
}

Result<> Mapping::Set(uint64_t offset, const L2Entry& entry) {
  const uint64_t table = l1(l1_index(offset));
  NANDU_CHECK((table & kCopied) != 0 && (table & kOffsetMask) != 0,
              "an L2 table that is written is the image's own");
  TableCache::Slice* const slice = TRY(LoadSlice(table & kOffsetMask, offset));
  const MutexLock lock(mutex_);
  std::byte* const at = slice->bytes.data() + InSlice(offset);
  StoreBe64(at, entry.descriptor);
  if (header_.extended_l2()) {
    StoreBe64(at + 8, entry.subclusters);
  }
  cache_.MarkDirty(slice);
  dirty_.store(true, std::memory_order_release);
  return {};
}

uint64_t Mapping::l1(uint64_t index) const {
  const MutexLock lock(mutex_);
  return l1_.at(index);
}

uint64_t Mapping::l1_entries() const {
  const MutexLock lock(mutex_);
  return l1_.size();
}

void Mapping::SetL1(uint64_t index, uint64_t entry) {
  const MutexLock lock(mutex_);
  l1_.at(index) = entry;
  l1_dirty_from_ = std::min(l1_dirty_from_, index);
  l1_dirty_to_ = std::max(l1_dirty_to_, index + 1);
  dirty_.store(true, std::memory_order_release);
}

void Mapping::ReplaceL1(std::vector<uint64_t> table) {
  const MutexLock lock(mutex_);
  l1_ = std::move(table);
  l1_dirty_from_ = UINT64_MAX;
  l1_dirty_to_ = 0;
}

void Mapping::SetDiskBytes(uint64_t bytes) {
  const MutexLock lock(mutex_);
  disk_bytes_ = bytes;
}

void Mapping::ForgetTable(uint64_t offset) {
  const MutexLock lock(mutex_);
  cache_.Forget(offset, header_.cluster_bytes());
}

bool Mapping::l2_dirty() const {
  const MutexLock lock(mutex_);
  return cache_.dirty_slices() != 0;
}

Result<> Mapping::WriteBackL2() {
  std::vector<TableCache::Slice*> dirty;
  {
    const MutexLock lock(mutex_);
    dirty = cache_.Dirty();
  }
  for (TableCache::Slice* slice : dirty) {
    // Only this thread changes or drops a dirty slice.
    TRY(file_.Write(slice->offset, slice->bytes));
    const MutexLock lock(mutex_);
    cache_.MarkClean(slice);
  }
  return {};
}

Result<> Mapping::WriteBackL1() {
  if (!l1_dirty()) {
    return {};
  }
  std::vector<std::byte> bytes((l1_dirty_to_ - l1_dirty_from_) * 8);
  for (uint64_t i = l1_dirty_from_; i < l1_dirty_to_; ++i) {
    StoreBe64(bytes.data() + (i - l1_dirty_from_) * 8, l1(i));
  }
  TRY(file_.Write(header_.l1_offset + l1_dirty_from_ * 8, bytes));
  l1_dirty_from_ = UINT64_MAX;
  l1_dirty_to_ = 0;
  return {};
}

Result<std::vector<L2Entry>> Mapping::ReadL2(uint64_t offset) {
  std::vector<std::byte> bytes(header_.cluster_bytes());
  TRY(file_.Read(offset, bytes));
  std::vector<L2Entry> entries(header_.l2_entries());
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::byte* const at = bytes.data() + i * header_.l2_entry_bytes();
    entries[i] = {LoadBe64(at), header_.extended_l2() ? LoadBe64(at + 8) : 0};
  }
  return entries;
}

}  // namespace nandu::qcow2
