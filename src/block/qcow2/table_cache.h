// A bounded cache of slices of metadata tables (L2 tables, refcount blocks), by their offset in the image
// file. It does no I/O: its owner loads what is missing and writes back what is dirty. One thread at a time.
#pragma once

#include <boost/endian/conversion.hpp>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace nandu::qcow2 {

inline uint64_t LoadBe64(const std::byte* at) {
  return boost::endian::load_big_u64(reinterpret_cast<const unsigned char*>(at));
}
inline void StoreBe64(std::byte* at, uint64_t value) {
  boost::endian::store_big_u64(reinterpret_cast<unsigned char*>(at), value);
}

class TableCache {
 public:
  struct Slice {
    uint64_t offset = 0;  // in the file
    bool dirty = false;
    std::vector<std::byte> bytes;  // as they are in the file
  };

  // Room for `bytes` of them, and for at least two.
  TableCache(size_t slice_bytes, uint64_t bytes)
      : slice_bytes_(slice_bytes), max_slices_(std::max<uint64_t>(bytes / slice_bytes, 2)) {}

  size_t slice_bytes() const { return slice_bytes_; }
  uint64_t max_slices() const { return max_slices_; }
  size_t slices() const { return by_offset_.size(); }
  size_t dirty_slices() const { return dirty_; }

  // Null: not here. It is the most recently used one then, and stays until the next Insert.
  Slice* Find(uint64_t offset);
  // True once there is room for one more: an unused clean slice made place. False: all are dirty; write them
  // back.
  bool MakeRoom();
  Slice* Insert(uint64_t offset, std::vector<std::byte> bytes);  // after MakeRoom
  void MarkDirty(Slice* slice);
  void MarkClean(Slice* slice);
  // Dirty slices, in the order of the file.
  std::vector<Slice*> Dirty();
  // What is cached of [offset, offset + bytes) means nothing any more.
  void Forget(uint64_t offset, uint64_t bytes);
  void ForgetAll();

 private:
  const size_t slice_bytes_;
  const uint64_t max_slices_;
  size_t dirty_ = 0;
  std::list<Slice> slices_;  // the most recently used one first
  std::unordered_map<uint64_t, std::list<Slice>::iterator> by_offset_;
};

}  // namespace nandu::qcow2
