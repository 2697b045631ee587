#include "memory/ram_discard.h"

#include <sys/mman.h>

#include "base/check.h"

namespace nandu {

bool ReadsZeroesOnceGivenBack(const RamBlock& block) { return block.shared() || block.fd() < 0; }

bool GiveBack(const RamBlock& block, uint64_t offset, uint64_t len) {
  const uint64_t page = block.page_bytes();
  NANDU_CHECK(offset <= block.size() && len <= block.size() - offset, "what is given back is the block's");
  NANDU_CHECK(offset % page == 0 && len % page == 0, "whole pages are given back");
  // Dropping a mapping of shared memory frees nothing: the memory itself gets a hole, for all who map it.
  const int advice = block.shared() ? MADV_REMOVE : MADV_DONTNEED;
  return len == 0 || madvise(block.host() + offset, len, advice) == 0;
}

}  // namespace nandu
