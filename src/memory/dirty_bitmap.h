// Which pages of one RAM block were written: one bit a page. Writers OR bits in, one reader harvests and
// clears them.
//
// Any thread. A writer stores its data first and marks it after; a harvester clears a bit first and reads the
// page after, so a write that races with the reading is marked again.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace nandu {

class DirtyBitmap {
 public:
  static constexpr uint64_t kPageBytes = 4096;
  explicit DirtyBitmap(uint64_t pages);

  uint64_t pages() const { return pages_; }
  void MarkPages(uint64_t first, uint64_t count);  // clipped to the block
  void MarkBytes(uint64_t offset, uint64_t len);   // every page a byte of it lies in
  // ORs `words` in (bit 0 of the first word is page `first_page`, a multiple of 64): how KVM's log is merged.
  void MergeWords(uint64_t first_page, std::span<const uint64_t> words);
  // Moves the bits of the words from `first_page` (a multiple of 64) on into `out`, ORing, and clears them
  // here. Returns how many were set.
  uint64_t Harvest(uint64_t first_page, std::span<uint64_t> out);
  uint64_t CountSet() const;
  bool Test(uint64_t page) const;

 private:
  const uint64_t pages_;
  std::vector<std::atomic<uint64_t>> words_;
};

}  // namespace nandu
