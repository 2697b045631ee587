#include "memory/flat_render.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {

namespace {

// A part of one mapping that is visible.
struct Piece {
  uint64_t base;
  uint64_t end;
  const MappedRegion* mapping;
};

// Adds the parts of `mapping` that no piece covers yet; pieces stay sorted.
void AddVisibleParts(const MappedRegion& mapping, std::vector<Piece>* pieces) {
  const uint64_t end = mapping.base + mapping.region.size();
  uint64_t position = mapping.base;
  auto next = std::lower_bound(pieces->begin(), pieces->end(), position,
                               [](const Piece& piece, uint64_t at) { return piece.end <= at; });
  while (position < end) {
    const uint64_t gap_end = next == pieces->end() ? end : std::min(end, next->base);
    if (position < gap_end) {
      next = pieces->insert(next, Piece{position, gap_end, &mapping}) + 1;
    }
    if (next == pieces->end()) {
      return;
    }
    position = std::max(position, next->end);
    ++next;
  }
}

FlatRange RangeOf(const Piece& piece) {
  const MappedRegion& mapping = *piece.mapping;
  const uint64_t skip = piece.base - mapping.base;
  FlatRange range;
  range.base = piece.base;
  range.size = piece.end - piece.base;
  range.kind = mapping.rom_mode ? mapping.region.kind() : Region::Kind::kIo;
  if (range.kind == Region::Kind::kRam) {
    range.readonly = mapping.readonly;
    range.offset = mapping.region.block_offset() + skip;
    range.block = mapping.region.block();
    range.handler = mapping.region.handler();  // what a ROM device's writes go to; its block begins with it
  } else {
    range.offset = skip;
    range.handler = mapping.region.handler();
  }
  return range;
}

bool Continues(const FlatRange& before, const FlatRange& after) {
  return before.base + before.size == after.base && before.kind == after.kind &&
         before.readonly == after.readonly && before.block == after.block &&
         before.handler == after.handler && before.offset + before.size == after.offset;
}

void AddVisibleEvents(const Piece& piece, std::vector<FlatIoEvent>* events) {
  for (const IoEvent& event : piece.mapping->region.events()) {
    const uint64_t bytes = std::max(event.size, 1U);
    uint64_t event_end = 0;
    if (AddOverflows(event.offset, bytes, &event_end) || event_end > piece.mapping->region.size()) {
      continue;
    }
    const uint64_t address = piece.mapping->base + event.offset;
    if (address >= piece.base && address + bytes <= piece.end) {
      events->push_back(FlatIoEvent{address, event.size, event.match, event.fd});
    }
  }
}

}  // namespace

bool FitsSpace(uint64_t base, uint64_t size, uint64_t space_size) {
  uint64_t end = 0;
  return !AddOverflows(base, size, &end) && end <= space_size;
}

std::shared_ptr<const FlatView> RenderFlatView(const std::vector<MappedRegion>& mappings, uint64_t space_size,
                                               const FlatView* previous) {
  std::vector<const MappedRegion*> order;
  for (const MappedRegion& mapping : mappings) {
    if (mapping.enabled && FitsSpace(mapping.base, mapping.region.size(), space_size)) {
      order.push_back(&mapping);
    }
  }
  std::sort(order.begin(), order.end(), [](const MappedRegion* a, const MappedRegion* b) {
    return a->priority != b->priority ? a->priority > b->priority : a->id > b->id;
  });

  std::vector<Piece> pieces;
  for (const MappedRegion* mapping : order) {
    AddVisibleParts(*mapping, &pieces);
  }

  std::vector<FlatRange> ranges;
  std::vector<FlatIoEvent> events;
  for (const Piece& piece : pieces) {
    FlatRange range = RangeOf(piece);
    if (!ranges.empty() && Continues(ranges.back(), range)) {
      ranges.back().size += range.size;
    } else {
      ranges.push_back(std::move(range));
    }
    AddVisibleEvents(piece, &events);
  }
  std::sort(events.begin(), events.end());
  return std::make_shared<const FlatView>(std::move(ranges), std::move(events), previous);
}

}  // namespace nandu
