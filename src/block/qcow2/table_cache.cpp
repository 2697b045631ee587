#include "block/qcow2/table_cache.h"

#include <algorithm>

#include "base/check.h"

namespace nandu::qcow2 {

TableCache::Slice* TableCache::Find(uint64_t offset) {
  const auto found = by_offset_.find(offset);
  if (found == by_offset_.end()) {
    return nullptr;
  }
  slices_.splice(slices_.begin(), slices_, found->second);
  return &slices_.front();
}

bool TableCache::MakeRoom() {
  if (slices_.size() < max_slices_) {
    return true;
  }
  if (dirty_ == slices_.size()) {
    return false;
  }
  for (auto slice = std::prev(slices_.end());; --slice) {
    if (!slice->dirty) {
      by_offset_.erase(slice->offset);
      slices_.erase(slice);
      return true;
    }
  }
}

TableCache::Slice* TableCache::Insert(uint64_t offset, std::vector<std::byte> bytes) {
  NANDU_CHECK(bytes.size() == slice_bytes_ && !by_offset_.contains(offset),
              "a table slice is cached once, whole");
  slices_.push_front({offset, false, std::move(bytes)});
  by_offset_[offset] = slices_.begin();
  return &slices_.front();
}

void TableCache::MarkDirty(Slice* slice) {
  dirty_ += slice->dirty ? 0 : 1;
  slice->dirty = true;
}

void TableCache::MarkClean(Slice* slice) {
  dirty_ -= slice->dirty ? 1 : 0;
  slice->dirty = false;
}

std::vector<TableCache::Slice*> TableCache::Dirty() {
  std::vector<Slice*> dirty;
  dirty.reserve(dirty_);
  if (dirty_ == 0) {
    return dirty;
  }
  for (Slice& slice : slices_) {
    if (slice.dirty) {
      dirty.push_back(&slice);
    }
  }
  std::sort(dirty.begin(), dirty.end(), [](const Slice* a, const Slice* b) { return a->offset < b->offset; });
  return dirty;
}

void TableCache::Forget(uint64_t offset, uint64_t bytes) {
  for (uint64_t at = offset; at < offset + bytes; at += slice_bytes_) {
    if (const auto found = by_offset_.find(at); found != by_offset_.end()) {
      MarkClean(&*found->second);
      slices_.erase(found->second);
      by_offset_.erase(found);
    }
  }
}

void TableCache::ForgetAll() {
  slices_.clear();
  by_offset_.clear();
  dirty_ = 0;
}

}  // namespace nandu::qcow2
