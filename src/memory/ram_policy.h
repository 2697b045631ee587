// Where the host takes a block's pages from, and taking them now. Control thread, before the guest runs;
// Prefault may run for as long as the kernel needs to clear the pages.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "memory/ram_block.h"

namespace nandu {

enum class NumaPolicy : uint8_t { kDefault, kPreferred, kBind, kInterleave };

// mbind(2). kDefault takes no nodes, the others one at least.
Result<> SetNumaPolicy(const RamBlock& block, NumaPolicy policy, std::span<const unsigned> host_nodes);

// Every page of the block is there afterwards, by `threads` threads. Too little memory is an error, never a
// SIGBUS later.
Result<> Prefault(const RamBlock& block, unsigned threads);

}  // namespace nandu
