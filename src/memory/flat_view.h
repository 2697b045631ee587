// What an address space looks like once priorities are settled: sorted ranges that do not overlap. Immutable
// and published whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <nandu/io_handler.h>

#include "memory/guest_memory.h"
#include "memory/region.h"

namespace nandu {

struct FlatRange {
  uint64_t base = 0;
  uint64_t size = 0;  // base + size does not overflow; a range may end at 2^64 - 1 at most
  Region::Kind kind = Region::Kind::kIo;
  bool readonly = false;
  uint64_t offset = 0;                 // of this range in its region (I/O) or block (RAM)
  std::shared_ptr<RamBlock> block;     // RAM
  std::shared_ptr<IoHandler> handler;  // I/O, and writes to read-only RAM that is a device
  bool SameMapping(const FlatRange& other) const;
};

struct FlatIoEvent {
  uint64_t address = 0;
  unsigned size = 0;
  std::optional<uint64_t> match;
  int fd = -1;
  auto operator<=>(const FlatIoEvent&) const = default;  // views list them sorted
};

class FlatView {
 public:
  // `previous`: its memory() is kept when the RAM is the same, so that DMA translations outlive a change of
  // registers. May be null.
  FlatView(std::vector<FlatRange> ranges, std::vector<FlatIoEvent> events,
           const FlatView* previous = nullptr);
  const std::vector<FlatRange>& ranges() const { return ranges_; }
  const std::vector<FlatIoEvent>& events() const { return events_; }
  const FlatRange* Find(uint64_t address) const;  // null: nothing there
  const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  bool SameAs(const FlatView& other) const;  // the same mappings and events

 private:
  std::vector<FlatRange> ranges_;
  std::vector<FlatIoEvent> events_;
  std::shared_ptr<const GuestMemory> memory_;  // its RAM ranges; never null
};

// Told of each change, with every vCPU outside KVM_RUN, on the committing thread. `from` is null the first
// time.
class FlatViewListener {
 public:
  FlatViewListener() = default;
  FlatViewListener(const FlatViewListener&) = delete;
  FlatViewListener& operator=(const FlatViewListener&) = delete;
  virtual ~FlatViewListener() = default;
  virtual void Commit(const FlatView* from, const FlatView& to) = 0;
};

}  // namespace nandu
