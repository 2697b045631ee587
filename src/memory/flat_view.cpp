#include "memory/flat_view.h"

#include <algorithm>

namespace nandu {

bool FlatRange::SameMapping(const FlatRange& other) const {
  return base == other.base && size == other.size && kind == other.kind && readonly == other.readonly &&
         offset == other.offset && block == other.block && handler == other.handler;
}

namespace {

std::shared_ptr<const GuestMemory> MemoryOf(const std::vector<FlatRange>& ranges, const FlatView* previous) {
  std::vector<RamRange> ram;
  for (const FlatRange& range : ranges) {
    if (range.kind == Region::Kind::kRam) {
      ram.push_back(RamRange{range.base, range.size, range.block, range.offset, range.readonly});
    }
  }
  if (previous != nullptr && previous->memory()->ranges() == ram) {
    return previous->memory();
  }
  return std::make_shared<const GuestMemory>(std::move(ram));
}

}  // namespace

FlatView::FlatView(std::vector<FlatRange> ranges, std::vector<FlatIoEvent> events, const FlatView* previous)
    : ranges_(std::move(ranges)), events_(std::move(events)), memory_(MemoryOf(ranges_, previous)) {}

const FlatRange* FlatView::Find(uint64_t address) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                      [](uint64_t at, const FlatRange& range) { return at < range.base; });
  if (after == ranges_.begin()) {
    return nullptr;
  }
  const FlatRange& range = *(after - 1);
  return address - range.base < range.size ? &range : nullptr;
}

bool FlatView::SameAs(const FlatView& other) const {
  return events_ == other.events_ &&
         std::equal(ranges_.begin(), ranges_.end(), other.ranges_.begin(), other.ranges_.end(),
                    [](const FlatRange& a, const FlatRange& b) { return a.SameMapping(b); });
}

}  // namespace nandu
