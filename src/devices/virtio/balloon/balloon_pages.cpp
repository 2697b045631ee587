#include "devices/virtio/balloon/balloon_pages.h"

#include <algorithm>

#include "base/checked.h"
#include "devices/virtio/balloon/balloon_wire.h"

namespace nandu {
namespace {

using balloon::kPageBytes;
using balloon::kPageShift;

// At most this much of a report in one call: what the host needs for it is well below a millisecond. A
// multiple of the guest's huge pages, so that none is torn.
constexpr uint64_t kReportBytes = uint64_t{16} << 20;

}  // namespace

int64_t BalloonPages::Inflate(const GuestMemory& memory, std::span<const uint32_t> pages) {
  int64_t cost = 0;
  Run run;
  for (const uint64_t page : pages) {
    if (run.count > 0 && page == run.first + run.count) {
      ++run.count;
    } else if (run.count > 0 && page + 1 == run.first) {
      --run.first;
      ++run.count;
    } else {
      cost += GiveBackRun(memory, run);
      run = {page, 1};
    }
  }
  return cost + GiveBackRun(memory, run);
}

void BalloonPages::EndInflation() {
  if (gathering_) {
    counters_.kept_pages.Add(gathering_->count);
    gathering_.reset();
  }
}

int64_t BalloonPages::GiveBackRun(const GuestMemory& memory, const Run& run) {
  if (run.count == 0) {
    return 0;
  }
  const Gpa at{run.first << kPageShift};
  const uint64_t bytes = run.count << kPageShift;
  const std::optional<HostPage> host = memory.FindHostPage(at);
  if (host && host->bytes == kPageBytes) {
    const std::optional<uint64_t> given_back = memory.Discard(at, bytes, DiscardedReads::kAnything);
    if (given_back == bytes) {
      counters_.given_back_bytes.Add(bytes);
      return kCostPerCall + static_cast<int64_t>(run.count);
    }
  }
  // Some of it is no RAM, is kept, or is part of a larger page: each for itself.
  int64_t cost = kCostPerCall;
  for (uint64_t i = 0; i < run.count; ++i) {
    cost += GiveBackPage(memory, run.first + i);
  }
  return cost;
}

int64_t BalloonPages::GiveBackPage(const GuestMemory& memory, uint64_t page) {
  const Gpa at{page << kPageShift};
  const std::optional<HostPage> host = memory.FindHostPage(at);
  if (!host) {
    counters_.bad_pages.Add();
    return 1;
  }
  if (host->bytes > kPageBytes) {
    return Gather(memory, page, *host);
  }
  const uint64_t given_back = memory.Discard(at, kPageBytes, DiscardedReads::kAnything).value_or(0);
  counters_.given_back_bytes.Add(given_back);
  counters_.kept_pages.Add(given_back == 0 ? 1 : 0);
  return kCostPerCall;
}

int64_t BalloonPages::Gather(const GuestMemory& memory, uint64_t page, const HostPage& host) {
  const uint64_t pages = host.bytes >> kPageShift;
  int64_t cost = 1;
  if (!gathering_ || gathering_->base != host.base.v) {
    EndInflation();
    gathering_.emplace(Gathering{host.base.v, 0, std::vector<bool>(pages)});
    cost += static_cast<int64_t>(pages / 64);
  }
  std::vector<bool>::reference named = gathering_->named[((page << kPageShift) - host.base.v) >> kPageShift];
  gathering_->count += named ? 0U : 1U;
  named = true;
  if (gathering_->count < pages) {
    return cost;
  }
  gathering_.reset();
  const uint64_t given_back = memory.Discard(host.base, host.bytes, DiscardedReads::kAnything).value_or(0);
  counters_.given_back_bytes.Add(given_back);
  counters_.kept_pages.Add(given_back == 0 ? pages : 0);
  return cost + kCostPerCall + static_cast<int64_t>(pages);
}

uint64_t BalloonPages::Report(const GuestMemory& memory, Gpa at, uint64_t len, DiscardedReads reads,
                              int64_t* cost) {
  *cost += kCostPerCall;
  uint64_t piece = std::min(len, kReportBytes - at.v % kReportBytes);
  const std::optional<HostPage> host = memory.FindHostPage(at);
  if (host && host->bytes > piece) {
    piece = std::min(len, host->bytes - (at.v - host->base.v));  // a page that is cut would stay
  }
  const std::optional<uint64_t> given_back = memory.Discard(at, piece, reads);
  if (!given_back) {
    counters_.bad_pages.Add();
    return piece;
  }
  *cost += static_cast<int64_t>(*given_back >> kPageShift);
  counters_.given_back_bytes.Add(*given_back);
  counters_.kept_pages.Add((piece - *given_back + kPageBytes - 1) >> kPageShift);
  return piece;
}

}  // namespace nandu
