// Reading one L2 entry.
#include <algorithm>
#include <bit>

#include "block/qcow2/mapping.h"

namespace nandu::qcow2 {
namespace {

std::optional<Extent> SubclustersAt(const Header& header, const L2Entry& entry, uint64_t offset,
                                    uint64_t max_bytes) {
  const auto allocated = static_cast<uint32_t>(entry.subclusters);
  const auto zero = static_cast<uint32_t>(entry.subclusters >> 32);
  const bool has_host = entry.host_offset() != 0 || (header.external_data() && entry.copied());
  if ((allocated & zero) != 0 || (allocated != 0 && !has_host)) {
    return std::nullopt;
  }
  const uint64_t in_cluster = offset & (header.cluster_bytes() - 1);
  const auto first = static_cast<unsigned>(in_cluster / header.subcluster_bytes());
  const uint32_t first_bit = uint32_t{1} << first;
  const bool is_data = (allocated & first_bit) != 0;
  const bool is_zero = (zero & first_bit) != 0;
  // Those that follow and are alike.
  const uint32_t alike = is_data ? allocated : is_zero ? zero : ~(allocated | zero);
  const auto count = static_cast<unsigned>(std::countr_one(alike >> first));
  Extent extent;
  extent.bytes =
      std::min(max_bytes, std::min(first + count, kSubclusters) * header.subcluster_bytes() - in_cluster);
  if (is_data) {
    extent.kind = ExtentKind::kData;
    extent.host_offset = entry.host_offset() + in_cluster;
    extent.owned = entry.copied();
  } else if (is_zero) {
    extent.kind = ExtentKind::kZero;
  }
  return extent;
}

}  // namespace

std::optional<Extent> ExtentAt(const Header& header, const L2Entry& entry, uint64_t offset,
                               uint64_t max_bytes) {
  const uint64_t in_cluster = offset & (header.cluster_bytes() - 1);
  Extent extent;
  extent.bytes = std::min(max_bytes, header.cluster_bytes() - in_cluster);
  if (entry.compressed()) {
    if (entry.copied() || header.external_data() || entry.subclusters != 0) {
      return std::nullopt;
    }
    extent.kind = ExtentKind::kCompressed;
    extent.host_offset = entry.descriptor;
    return extent;
  }
  if ((entry.host_offset() & (header.cluster_bytes() - 1)) != 0) {
    return std::nullopt;
  }
  const bool has_host = entry.host_offset() != 0 || (header.external_data() && entry.copied());
  // With an external data file "the offset field must match the guest offset".
  if (header.external_data() && has_host && entry.host_offset() != offset - in_cluster) {
    return std::nullopt;
  }
  if (header.extended_l2()) {
    return SubclustersAt(header, entry, offset, max_bytes);
  }
  if ((entry.descriptor & kZeroFlag) != 0) {
    if (header.version < 3) {
      return std::nullopt;
    }
    extent.kind = ExtentKind::kZero;
  } else if (has_host) {
    extent.kind = ExtentKind::kData;
    extent.host_offset = entry.host_offset() + in_cluster;
    extent.owned = entry.copied();
  } else if (entry.copied()) {
    return std::nullopt;
  }
  return extent;
}

CompressedRange CompressedAt(const Header& header, uint64_t descriptor) {
  const unsigned offset_bits = 62 - (header.cluster_bits - 8);
  const uint64_t offset_mask = (uint64_t{1} << offset_bits) - 1;
  const uint64_t offset = descriptor & offset_mask & (kMaxHostOffset - 1);
  const uint64_t sectors = ((descriptor & ~kCompressedFlag & ~kCopied) >> offset_bits) + 1;
  return {offset, sectors * 512 - (offset & 511)};
}

}  // namespace nandu::qcow2
