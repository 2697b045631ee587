#include "memory/ram_policy.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr unsigned kMostHostNodes = 1024;  // MAX_NUMNODES of the largest kernels

int ModeOf(NumaPolicy policy) {
  switch (policy) {
    case NumaPolicy::kPreferred: return MPOL_PREFERRED;
    case NumaPolicy::kBind: return MPOL_BIND;
    case NumaPolicy::kInterleave: return MPOL_INTERLEAVE;
    case NumaPolicy::kDefault: break;
  }
  return MPOL_DEFAULT;
}

}  // namespace

Result<> SetNumaPolicy(const RamBlock& block, NumaPolicy policy, std::span<const unsigned> host_nodes) {
  if ((policy == NumaPolicy::kDefault) != host_nodes.empty()) {
    return Fail(Errc::kInvalidArgument, "memory {}: {}", block.name(),
                host_nodes.empty() ? "its policy needs host-nodes="
                                   : "host-nodes= needs a policy=: preferred, bind or interleave");
  }
  if (policy == NumaPolicy::kDefault) {
    return {};
  }
  constexpr unsigned kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask(kMostHostNodes / kBits);
  for (const unsigned node : host_nodes) {
    if (node >= kMostHostNodes) {
      return Fail(Errc::kInvalidArgument, "memory {}: there is no host node {}", block.name(), node);
    }
    mask[node / kBits] |= 1UL << (node % kBits);
  }
  // The kernel reads one bit less than it is told (mbind(2), BUGS).
  if (syscall(SYS_mbind, block.host(), block.size(), ModeOf(policy), mask.data(),
              static_cast<unsigned long>(kMostHostNodes + 1), MPOL_MF_STRICT | MPOL_MF_MOVE) != 0) {
    return FailErrno(errno, "memory {}: cannot bind it to the host nodes asked for", block.name());
  }
  return {};
}

Result<> Prefault(const RamBlock& block, unsigned threads) {
  // Big enough that threads seldom meet, small enough that they end together.
  const uint64_t piece = std::max<uint64_t>(uint64_t{64} << 20, block.page_bytes());
  std::atomic<uint64_t> next{0};
  std::atomic<int> error{0};
  const auto work = [&] {
    for (uint64_t at = next.fetch_add(piece); at < block.size() && error.load() == 0;
         at = next.fetch_add(piece)) {
      const uint64_t count = std::min(piece, block.size() - at);
      while (madvise(block.host() + at, count, MADV_POPULATE_WRITE) != 0) {
        if (errno != EINTR && errno != EAGAIN) {
          error.store(errno);
          return;
        }
      }
    }
  };
  const uint64_t pieces = (block.size() + piece - 1) / piece;
  std::vector<std::thread> helpers;
  for (uint64_t i = 1; i < std::min<uint64_t>(threads, pieces); ++i) {
    helpers.emplace_back(work);
  }
  work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
  if (const int failed = error.load(); failed != 0) {
    if (failed == EINVAL) {
      return Fail(Errc::kUnsupported, "memory {}: preallocation needs Linux 5.14 (MADV_POPULATE_WRITE)",
                  block.name());
    }
    return FailErrno(failed,
                     "memory {}: cannot preallocate {} MiB of {} KiB pages; free some, or use prealloc=off",
                     block.name(), block.size() >> 20, block.page_bytes() >> 10);
  }
  return {};
}

}  // namespace nandu
