#include "memory/guest_memory.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "base/lost_memory.h"
#include "memory/ram_discard.h"

namespace nandu {

namespace {

// A naturally aligned value of 2, 4 or 8 bytes is read and written whole: rings are shared with running
// vCPUs.
template <class T>
bool CopyWhole(std::byte* to, const std::byte* from) {
  if (reinterpret_cast<uintptr_t>(to) % sizeof(T) != 0 ||
      reinterpret_cast<uintptr_t>(from) % sizeof(T) != 0) {
    return false;
  }
  T value;
  __atomic_load(reinterpret_cast<const T*>(from), &value, __ATOMIC_RELAXED);
  __atomic_store(reinterpret_cast<T*>(to), &value, __ATOMIC_RELAXED);
  return true;
}

void Copy(std::byte* to, const std::byte* from, uint64_t len) {
  const bool copied = (len == 2 && CopyWhole<uint16_t>(to, from)) ||
                      (len == 4 && CopyWhole<uint32_t>(to, from)) ||
                      (len == 8 && CopyWhole<uint64_t>(to, from));
  if (!copied) {
    std::memcpy(to, from, len);
  }
}

}  // namespace

GuestMemory::GuestMemory(std::vector<RamRange> ranges) : ranges_(std::move(ranges)) {
  uint64_t free_from = 0;
  for (const RamRange& range : ranges_) {
    uint64_t end = 0;
    NANDU_CHECK(range.size != 0 && range.base >= free_from && !AddOverflows(range.base, range.size, &end),
                "RAM ranges are sorted and do not overlap");
    NANDU_CHECK(
        range.block_offset <= range.block->size() && range.size <= range.block->size() - range.block_offset,
        "a RAM range lies within its block");
    free_from = end;
  }
}

const RamRange* GuestMemory::Find(uint64_t at) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), at,
                       [](uint64_t address, const RamRange& range) { return address < range.base; });
  if (after == ranges_.begin()) {
    return nullptr;
  }
  const RamRange& range = *(after - 1);
  return at - range.base < range.size ? &range : nullptr;
}

template <class Visit>
bool GuestMemory::ForEachPiece(Gpa at, uint64_t len, Access access, Visit visit) const {
  uint64_t end = 0;
  if (AddOverflows(at.v, len, &end)) {
    return false;
  }
  const RamRange* range = len == 0 ? nullptr : Find(at.v);
  uint64_t position = at.v;
  while (position < end) {
    if (range == nullptr || range == ranges_.data() + ranges_.size() || position < range->base ||
        (access == Access::kWrite && range->readonly)) {
      return false;
    }
    const uint64_t skip = position - range->base;
    const uint64_t bytes = std::min(end - position, range->size - skip);
    visit(*range, range->block_offset + skip, bytes);
    position += bytes;
    range++;
  }
  return true;
}

bool GuestMemory::ToIovecs(Gpa at, uint64_t len, Access access, std::vector<iovec>* out) const {
  const size_t before = out->size();
  const bool covered =
      ForEachPiece(at, len, access, [out](const RamRange& range, uint64_t offset, uint64_t bytes) {
        out->push_back(iovec{range.block->host() + offset, bytes});
      });
  if (!covered) {
    out->resize(before);
  }
  return covered;
}

std::byte* GuestMemory::HostPointer(Gpa at, uint64_t len, Access access) const {
  const RamRange* const range = Find(at.v);
  if (range == nullptr || (access == Access::kWrite && range->readonly)) {
    return nullptr;
  }
  const uint64_t skip = at.v - range->base;
  return len <= range->size - skip ? range->block->host() + range->block_offset + skip : nullptr;
}

bool GuestMemory::Read(Gpa at, void* out, uint64_t len) const {
  auto* to = static_cast<std::byte*>(out);
  const uint64_t met = LostMemory::MetByThisThread();
  const bool covered =
      ForEachPiece(at, len, Access::kRead, [&to](const RamRange& range, uint64_t offset, uint64_t bytes) {
        Copy(to, range.block->host() + offset, bytes);
        to += bytes;
      });
  return covered && LostMemory::MetByThisThread() == met;
}

bool GuestMemory::Write(Gpa at, const void* from, uint64_t len) const {
  // All or nothing: what is no memory at its end is not written at its start.
  if (!ForEachPiece(at, len, Access::kWrite, [](const RamRange&, uint64_t, uint64_t) {})) {
    return false;
  }
  const auto* next = static_cast<const std::byte*>(from);
  const uint64_t met = LostMemory::MetByThisThread();
  const bool covered =
      ForEachPiece(at, len, Access::kWrite, [&next](const RamRange& range, uint64_t offset, uint64_t bytes) {
        Copy(range.block->host() + offset, next, bytes);
        range.block->MarkDirty(offset, bytes);
        next += bytes;
      });
  return covered && LostMemory::MetByThisThread() == met;
}

void GuestMemory::MarkDirty(Gpa at, uint64_t len) const {
  if (!RamBlock::AnyLogging()) [[likely]] {
    return;
  }
  ForEachPiece(at, len, Access::kRead, [](const RamRange& range, uint64_t offset, uint64_t bytes) {
    range.block->MarkDirty(offset, bytes);
  });
}

std::optional<uint64_t> GuestMemory::Discard(Gpa at, uint64_t len, DiscardedReads reads) const {
  if (!ForEachPiece(at, len, Access::kWrite, [](const RamRange&, uint64_t, uint64_t) {})) {
    return std::nullopt;
  }
  uint64_t given_back = 0;
  ForEachPiece(at, len, Access::kWrite, [&](const RamRange& range, uint64_t offset, uint64_t bytes) {
    RamBlock& block = *range.block;
    const uint64_t begin = AlignUp(offset, block.page_bytes());
    const uint64_t end = AlignDown(offset + bytes, block.page_bytes());
    const bool may_go = reads == DiscardedReads::kAnything || ReadsZeroesOnceGivenBack(block);
    if (begin < end && may_go && GiveBack(block, begin, end - begin)) {
      block.MarkDirty(begin, end - begin);
      given_back += end - begin;
    }
  });
  return given_back;
}

std::optional<HostPage> GuestMemory::FindHostPage(Gpa at) const {
  const RamRange* const range = Find(at.v);
  if (range == nullptr || range->readonly) {
    return std::nullopt;
  }
  const uint64_t page = range->block->page_bytes();
  const uint64_t into_page = (range->block_offset + (at.v - range->base)) % page;
  return into_page <= at.v ? std::optional<HostPage>({Gpa{at.v - into_page}, page}) : std::nullopt;
}

}  // namespace nandu
