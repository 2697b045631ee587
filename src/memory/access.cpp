// One access of a vCPU through a flat view: AddressSpace::Read and Write, and their cached forms.
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "memory/address_space.h"

namespace nandu {

namespace {

constexpr uint64_t Ones(unsigned bytes) {
  return bytes >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1;
}

// RAM takes any length; a handler is promised one of the widths a bus has.
bool ServedWhole(const FlatRange& range, uint64_t skip, unsigned size) {
  const bool bus_width = size == 1 || size == 2 || size == 4 || size == 8;
  const bool memory = range.kind == Region::Kind::kRam && range.handler == nullptr;
  return size <= range.size - skip && (memory || bus_width);
}

uint64_t ReadRange(const FlatRange& range, uint64_t skip, unsigned size) {
  if (range.kind == Region::Kind::kRam) {
    uint64_t value = 0;
    std::memcpy(&value, range.block->host() + range.offset + skip, size);
    return value;
  }
  return range.handler->Read(range.offset + skip, size) & Ones(size);
}

ExitDone WriteRange(const FlatRange& range, uint64_t skip, unsigned size, uint64_t value,
                    AccessCounters& counters) {
  if (range.kind != Region::Kind::kRam) {
    return range.handler->Write(range.offset + skip, size, value & Ones(size));
  }
  if (range.readonly && range.handler != nullptr) {
    return range.handler->Write(range.offset + skip, size, value & Ones(size));
  }
  if (range.readonly) {
    counters.rom_writes.Add();
    return ExitDone::Done();
  }
  std::memcpy(range.block->host() + range.offset + skip, &value, size);
  range.block->MarkDirty(range.offset + skip, size);
  return ExitDone::Done();
}

// Byte `i` of a split read; there is nothing past the top of the space.
uint64_t ReadByte(const FlatView& view, uint64_t address, unsigned i, AccessCounters& counters) {
  return address + i < address ? Ones(1) : ReadView(view, address + i, 1, counters);
}

}  // namespace

ExitDone ParkForAll(std::vector<std::shared_ptr<ParkedExit>> tokens) {
  if (tokens.empty()) {
    return ExitDone::Done();
  }
  if (tokens.size() == 1) {
    return ExitDone::Park(std::move(tokens.front()));
  }
  auto all = std::make_shared<ParkedExit>();
  auto left = std::make_shared<std::atomic<size_t>>(tokens.size());
  for (const std::shared_ptr<ParkedExit>& token : tokens) {
    token->Observe([all, left] {
      if (left->fetch_sub(1) == 1) {
        all->Signal();
      }
    });
  }
  return ExitDone::Park(std::move(all));
}

uint64_t ReadView(const FlatView& view, uint64_t address, unsigned size, AccessCounters& counters) {
  NANDU_CHECK(size >= 1 && size <= 8, "an access is 1 to 8 bytes");
  const FlatRange* const range = view.Find(address);
  if (range != nullptr && ServedWhole(*range, address - range->base, size)) {
    return ReadRange(*range, address - range->base, size);
  }
  if (size == 1) {
    counters.unassigned.Add();
    return Ones(1);
  }
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= ReadByte(view, address, i, counters) << (8 * i);
  }
  return value;
}

ExitDone WriteView(const FlatView& view, uint64_t address, unsigned size, uint64_t value,
                   AccessCounters& counters) {
  NANDU_CHECK(size >= 1 && size <= 8, "an access is 1 to 8 bytes");
  const FlatRange* const range = view.Find(address);
  if (range != nullptr && ServedWhole(*range, address - range->base, size)) {
    return WriteRange(*range, address - range->base, size, value, counters);
  }
  if (size == 1) {
    counters.unassigned.Add();
    return ExitDone::Done();
  }
  std::vector<std::shared_ptr<ParkedExit>> tokens;
  for (unsigned i = 0; i < size && address + i >= address; i++) {
    const ExitDone byte = WriteView(view, address + i, 1, value >> (8 * i) & 0xff, counters);
    if (byte.token() != nullptr) {
      tokens.push_back(byte.token());
    }
  }
  return ParkForAll(std::move(tokens));
}

uint64_t AddressSpace::Read(uint64_t address, unsigned size) {
  return ReadView(*view(), address, size, counters_);
}

ExitDone AddressSpace::Write(uint64_t address, unsigned size, uint64_t value) {
  return WriteView(*view(), address, size, value, counters_);
}

uint64_t FlatViewCache::Read(uint64_t address, unsigned size) {
  return ReadView(Get(), address, size, space_.counters_);
}

ExitDone FlatViewCache::Write(uint64_t address, unsigned size, uint64_t value) {
  return WriteView(Get(), address, size, value, space_.counters_);
}

}  // namespace nandu
