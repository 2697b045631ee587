// Bytes that lie in several pieces of guest memory. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace nandu {

uint64_t BytesOf(std::span<const iovec> pieces);
// Copies up to `bytes` into the pieces, from `offset` of them on, and answers how many there was room for.
size_t CopyInto(std::span<const iovec> pieces, uint64_t offset, const void* from, size_t bytes);
size_t CopyFrom(std::span<const iovec> pieces, uint64_t offset, void* to, size_t bytes);
// The pieces of [offset, offset + bytes), as far as they go.
void Slice(std::span<const iovec> pieces, uint64_t offset, uint64_t bytes, std::vector<iovec>* out);

}  // namespace nandu
