#include "devices/storage/scatter.h"

#include <algorithm>
#include <cstring>

namespace nandu {
namespace {

// Visits the part of each piece that lies in [offset, offset + bytes).
template <class Visit>
uint64_t ForEachPart(std::span<const iovec> pieces, uint64_t offset, uint64_t bytes, Visit visit) {
  uint64_t visited = 0;
  for (const iovec& piece : pieces) {
    if (visited == bytes) {
      break;
    }
    if (offset >= piece.iov_len) {
      offset -= piece.iov_len;
      continue;
    }
    const auto here = static_cast<size_t>(std::min<uint64_t>(piece.iov_len - offset, bytes - visited));
    visit(static_cast<std::byte*>(piece.iov_base) + offset, here, static_cast<size_t>(visited));
    visited += here;
    offset = 0;
  }
  return visited;
}

}  // namespace

uint64_t BytesOf(std::span<const iovec> pieces) {
  uint64_t bytes = 0;
  for (const iovec& piece : pieces) {
    bytes += piece.iov_len;
  }
  return bytes;
}

size_t CopyInto(std::span<const iovec> pieces, uint64_t offset, const void* from, size_t bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  return static_cast<size_t>(
      ForEachPart(pieces, offset, bytes, [source](std::byte* at, size_t count, size_t done) {
        std::memcpy(at, source + done, count);
      }));
}

size_t CopyFrom(std::span<const iovec> pieces, uint64_t offset, void* to, size_t bytes) {
  auto* target = static_cast<std::byte*>(to);
  return static_cast<size_t>(
      ForEachPart(pieces, offset, bytes, [target](const std::byte* at, size_t count, size_t done) {
        std::memcpy(target + done, at, count);
      }));
}

void Slice(std::span<const iovec> pieces, uint64_t offset, uint64_t bytes, std::vector<iovec>* out) {
  out->clear();
  ForEachPart(pieces, offset, bytes,
              [out](std::byte* at, size_t count, size_t /*done*/) { out->push_back({at, count}); });
}

}  // namespace nandu
