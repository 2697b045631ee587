// From what a driver names to what the host gets back: page numbers of an inflation, ranges of a report. One
// I/O loop. A guest may name anything, as often as it likes: what is no RAM is counted, what is named twice
// is given back twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/virtio/balloon/balloon_counters.h"
#include "memory/guest_memory.h"

namespace nandu {

class BalloonPages {
 public:
  // Of a page or of the smallest range; what is larger costs more. The unit is a page's worth of the host's
  // work, and asking the host for anything is worth several.
  static constexpr int64_t kCostPerCall = 16;

  explicit BalloonPages(BalloonCounters& counters) : counters_(counters) {}

  // Pages of one inflation, by number, in pieces. Neighbours are given back together. Returns the cost.
  //
  // Where the host's pages are larger, one goes once the request has named all of it. Nothing is remembered
  // between requests: a driver may use a page again as soon as it has taken it from the balloon, before it
  // tells (virtio 1.2, 5.5.6), so that only pages of one request are sure to be free together.
  int64_t Inflate(const GuestMemory& memory, std::span<const uint32_t> pages);
  void EndInflation();

  // The beginning of a reported range, as much as one turn may cost. How many bytes are done with, at least
  // one; adds to *cost.
  uint64_t Report(const GuestMemory& memory, Gpa at, uint64_t len, DiscardedReads reads, int64_t* cost);

 private:
  struct Run {
    uint64_t first = 0;
    uint64_t count = 0;
  };
  // Pages of one larger host page that were named so far.
  struct Gathering {
    uint64_t base = 0;
    uint64_t count = 0;
    std::vector<bool> named;
  };

  int64_t GiveBackRun(const GuestMemory& memory, const Run& run);
  int64_t GiveBackPage(const GuestMemory& memory, uint64_t page);
  int64_t Gather(const GuestMemory& memory, uint64_t page, const HostPage& host);

  BalloonCounters& counters_;
  std::optional<Gathering> gathering_;
};

}  // namespace nandu
