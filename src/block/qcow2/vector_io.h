// Parts of an iovec array: what a request is cut into.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace nandu::qcow2 {

inline uint64_t TotalBytes(std::span<const iovec> vector) {
  uint64_t total = 0;
  for (const iovec& vec : vector) {
    total += vec.iov_len;
  }
  return total;
}

// Adds the pieces of [skip, skip + bytes) of `vector` to `out`.
inline void AppendPart(std::span<const iovec> vector, uint64_t skip, uint64_t bytes,
                       std::vector<iovec>* out) {
  for (const iovec& vec : vector) {
    if (bytes == 0) {
      return;
    }
    if (skip >= vec.iov_len) {
      skip -= vec.iov_len;
      continue;
    }
    const size_t part = std::min<uint64_t>(vec.iov_len - skip, bytes);
    out->push_back({static_cast<std::byte*>(vec.iov_base) + skip, part});
    bytes -= part;
    skip = 0;
  }
}

inline std::vector<iovec> PartOf(std::span<const iovec> vector, uint64_t skip, uint64_t bytes) {
  std::vector<iovec> part;
  AppendPart(vector, skip, bytes, &part);
  return part;
}

inline void FillZero(std::span<const iovec> vector) {
  for (const iovec& vec : vector) {
    std::memset(vec.iov_base, 0, vec.iov_len);
  }
}

// `bytes` is at least as long as the vector.
inline void CopyTo(std::span<const iovec> vector, std::span<const std::byte> bytes) {
  for (const iovec& vec : vector) {
    std::memcpy(vec.iov_base, bytes.data(), vec.iov_len);
    bytes = bytes.subspan(vec.iov_len);
  }
}

}  // namespace nandu::qcow2
