// Giving a block's pages back to the host. Guest memory is never pinned, so that they can go at any time;
// what the guest, KVM or a device touches afterwards is a fresh page. Any thread.
#pragma once

#include <cstdint>

#include "memory/ram_block.h"

namespace nandu {

// Whether a page of the block reads as zeroes once it was given back. One of a private file reads as the file
// does.
bool ReadsZeroesOnceGivenBack(const RamBlock& block);

// [offset, offset + len): whole pages of the block (RamBlock::page_bytes). False, and nothing has changed:
// the host keeps them (locked memory, a file system that cannot punch holes). Does not mark dirty.
bool GiveBack(const RamBlock& block, uint64_t offset, uint64_t len);

}  // namespace nandu
