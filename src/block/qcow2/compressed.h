// Compressed clusters: raw deflate ("zlib") or one zstd frame, whose output is one cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nandu::qcow2 {

// False when `from` does not decompress to exactly `into`'s bytes. What follows in `from` is ignored.
bool Decompress(uint8_t method, std::span<const std::byte> from, std::span<std::byte> into);

}  // namespace nandu::qcow2
