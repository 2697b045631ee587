#include "memory/dirty_bitmap.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace nandu {

namespace {
constexpr uint64_t kBitsPerWord = 64;
}

DirtyBitmap::DirtyBitmap(uint64_t pages) : pages_(pages), words_((pages + kBitsPerWord - 1) / kBitsPerWord) {}

void DirtyBitmap::MarkPages(uint64_t first, uint64_t count) {
  if (first >= pages_) {
    return;
  }
  const uint64_t end = first + std::min(count, pages_ - first);
  while (first < end) {
    const uint64_t bit = first % kBitsPerWord;
    const uint64_t bits = std::min(kBitsPerWord - bit, end - first);
    const uint64_t ones = bits == kBitsPerWord ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    // Release: who harvests the bit also sees the data that was written before it was set.
    words_[first / kBitsPerWord].fetch_or(ones << bit, std::memory_order_release);
    first += bits;
  }
}

void DirtyBitmap::MarkBytes(uint64_t offset, uint64_t len) {
  if (len == 0) {
    return;
  }
  const uint64_t last = len - 1 > ~offset ? ~uint64_t{0} : offset + len - 1;
  MarkPages(offset / kPageBytes, last / kPageBytes - offset / kPageBytes + 1);
}

void DirtyBitmap::MergeWords(uint64_t first_page, std::span<const uint64_t> words) {
  NANDU_CHECK(first_page % kBitsPerWord == 0, "dirty bits are merged in whole words");
  const uint64_t first = first_page / kBitsPerWord;
  for (uint64_t i = 0; i < words.size() && first + i < words_.size(); i++) {
    uint64_t bits = words[i];
    if (first + i == words_.size() - 1 && pages_ % kBitsPerWord != 0) {
      bits &= (uint64_t{1} << (pages_ % kBitsPerWord)) - 1;
    }
    if (bits != 0) {
      words_[first + i].fetch_or(bits, std::memory_order_release);
    }
  }
}

uint64_t DirtyBitmap::Harvest(uint64_t first_page, std::span<uint64_t> out) {
  NANDU_CHECK(first_page % kBitsPerWord == 0, "dirty bits are harvested in whole words");
  const uint64_t first = first_page / kBitsPerWord;
  uint64_t set = 0;
  for (uint64_t i = 0; i < out.size() && first + i < words_.size(); i++) {
    if (words_[first + i].load(std::memory_order_relaxed) == 0) {
      continue;
    }
    const uint64_t bits = words_[first + i].exchange(0, std::memory_order_acq_rel);
    out[i] |= bits;
    set += static_cast<uint64_t>(std::popcount(bits));
  }
  return set;
}

uint64_t DirtyBitmap::CountSet() const {
  uint64_t set = 0;
  for (const std::atomic<uint64_t>& word : words_) {
    set += static_cast<uint64_t>(std::popcount(word.load(std::memory_order_relaxed)));
  }
  return set;
}

bool DirtyBitmap::Test(uint64_t page) const {
  return page < pages_ &&
         (words_[page / kBitsPerWord].load(std::memory_order_acquire) >> (page % kBitsPerWord) & 1) != 0;
}

}  // namespace nandu
