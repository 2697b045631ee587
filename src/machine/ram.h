// The guest's RAM: its memory backends made, bound and filled as asked for, in the order the guest sees them.
// Control thread, while the machine is built.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "machine/config.h"
#include "memory/ram_block.h"
#include "sandbox/opener.h"

namespace nandu {

struct BoardRam {
  std::vector<std::shared_ptr<RamBlock>> blocks;  // one after the other from guest address 0, around the hole
  std::vector<uint64_t> node_bytes;               // of each NUMA node, in order; empty: no nodes
};

// Errors name the option that is wrong: too little memory, a size that does not fit -m, a file that is too
// short, a backend nobody uses.
Result<BoardRam> CreateRam(Opener& opener, const MachineConfig& config);

}  // namespace nandu
