// Zeroes and discards: entries that read as zero, with or without the host cluster they had.
#include <algorithm>

#include "base/check.h"
#include "block/qcow2/image.h"
#include "block/qcow2/vector_io.h"

namespace nandu::qcow2 {
namespace {

constexpr size_t kMaxRetiredClusters = 64 * 1024;  // before a flush makes them free

uint64_t SubclustersZero(unsigned first, unsigned end) {
  return ((uint64_t{1} << end) - (uint64_t{1} << first)) << 32;
}

}  // namespace

Result<> Image::WriteZeroes(uint64_t offset, uint64_t bytes, Unmap unmap) {
  NANDU_CHECK(offset <= size() && bytes <= size() - offset, "a write lies within the disk");
  TRY(BeginChange());
  // The last cluster ends with the disk.
  const uint64_t unit = header_.subcluster_bytes();
  const uint64_t end = offset + bytes;
  const uint64_t whole_begin = AlignUp(offset, unit);
  const uint64_t whole_end = end == size() ? end : AlignDown(end, unit);
  if (whole_begin >= whole_end) {
    return ZeroPart(offset, bytes, unmap);
  }
  TRY(ZeroPart(offset, whole_begin - offset, unmap));
  TRY(ZeroWholeClusters(whole_begin, whole_end, unmap));
  return ZeroPart(whole_end, end - whole_end, unmap);
}

// Less than what one entry can call zero: written, where it is not zero already.
Result<> Image::ZeroPart(uint64_t offset, uint64_t bytes, Unmap /*unmap*/) {
  if (bytes == 0 || TRY(ReadsAsZero(offset, bytes))) {
    return {};
  }
  constexpr uint64_t kChunk = 1 << 20;
  const std::vector<std::byte> zeroes(std::min(bytes, kChunk));
  for (uint64_t done = 0; done < bytes; done += kChunk) {
    TRY(Write(offset + done, std::span(zeroes).first(std::min(bytes - done, kChunk))));
  }
  return {};
}

Result<> Image::ZeroWholeClusters(uint64_t offset, uint64_t end, Unmap unmap) {
  const uint64_t cluster = header_.cluster_bytes();
  for (uint64_t at = offset; at < end;) {
    const uint64_t next = std::min(AlignDown(at, cluster) + cluster, end);
    const Extent extent = TRY(mapping_->Find(at, end - at));
    const bool is_zero = (extent.kind == ExtentKind::kUnallocated && options_.backing == nullptr) ||
                         (extent.kind == ExtentKind::kZero && unmap == Unmap::kKeep);
    if (is_zero) {
      at += extent.bytes;
      continue;
    }
    if (header_.version < 3 || header_.raw_external_data()) {
      // A version 2 entry cannot say zero, but where nothing is below, unallocated says it.
      const bool nothing_below =
          options_.backing == nullptr || AlignDown(at, cluster) >= options_.backing->size();
      if (!nothing_below || header_.raw_external_data() || unmap == Unmap::kKeep) {
        TRY(ZeroPart(at, next - at, unmap));
        at = next;
        continue;
      }
    }
    TRY(OwnTable(at));
    const L2Entry old = TRY(mapping_->Get(at));
    const L2Entry now = TRY(ZeroEntry(at, old, at, next, unmap));
    if (now != old) {
      TRY(mapping_->Set(at, now));
      if ((old.compressed() || old.host_offset() != 0) && (now.compressed() || now.host_offset() == 0)) {
        Retire(old, unmap == Unmap::kUnmap);
      }
    }
    at = next;
    if (retired_clusters_ >= kMaxRetiredClusters) {
      TRY(FlushMetadata());
    }
  }
  return {};
}

// What an entry becomes when [begin, end) of its cluster is to read as zero.
Result<L2Entry> Image::ZeroEntry(uint64_t offset, const L2Entry& entry, uint64_t begin, uint64_t end,
                                 Unmap unmap) {
  const uint64_t cluster = header_.cluster_bytes();
  const uint64_t first = AlignDown(offset, cluster);
  const bool whole = begin == first && (end == first + cluster || end == size());
  const bool keeps = unmap == Unmap::kKeep && HasOwnHost(entry);
  L2Entry now;
  if (!header_.extended_l2()) {
    NANDU_CHECK(whole, "an entry without subclusters is zero as a whole");
    now.descriptor = header_.version >= 3 ? kZeroFlag : 0;
    if (keeps) {
      now.descriptor |= entry.host_offset() | kCopied;
    }
    return now;
  }
  if (whole) {
    now.subclusters = SubclustersZero(0, kSubclusters);
    now.descriptor = keeps ? entry.host_offset() | kCopied : 0;
    return now;
  }
  if (entry.compressed()) {
    // It has no subclusters; so it becomes a cluster that has.
    std::vector<std::byte> bytes(std::min(cluster, size() - first));
    TRY(Read(first, bytes));
    TRY(Write(first, bytes));
    const L2Entry plain = TRY(mapping_->Get(first));
    return ZeroEntry(offset, plain, begin, end, unmap);
  }
  const uint64_t unit = header_.subcluster_bytes();
  const auto first_sub = static_cast<unsigned>((begin - first) / unit);
  const auto end_sub = static_cast<unsigned>((AlignUp(end, unit) - first) / unit);
  const uint64_t zero = SubclustersZero(first_sub, end_sub);
  now = entry;
  now.subclusters = (entry.subclusters | zero) & ~(zero >> 32);
  return now;
}

void Image::Retire(const L2Entry& entry, bool discard) {
  if (entry.compressed()) {
    const CompressedRange range = CompressedAt(header_, entry.descriptor);
    RetireClusters(range.offset, range.bytes, false);
  } else if (header_.external_data()) {
    if (discard && options_.discard_freed && HasOwnHost(entry)) {
      static_cast<void>(data().Discard(entry.host_offset(), header_.cluster_bytes()));
    }
  } else if (entry.host_offset() != 0) {
    RetireClusters(entry.host_offset(), header_.cluster_bytes(), discard);
  }
}

void Image::RetireClusters(uint64_t offset, uint64_t bytes, bool discard) {
  const uint64_t first = offset >> header_.cluster_bits;
  const uint64_t clusters = ((offset + bytes - 1) >> header_.cluster_bits) - first + 1;
  retired_.push_back({first, clusters, discard});
  retired_clusters_ += clusters;
}

Result<> Image::Discard(uint64_t offset, uint64_t bytes) {
  NANDU_CHECK(offset <= size() && bytes <= size() - offset, "a discard lies within the disk");
  TRY(BeginChange());
  const uint64_t cluster = header_.cluster_bytes();
  const uint64_t begin = AlignUp(offset, cluster);
  const uint64_t end = offset + bytes == size() ? size() : AlignDown(offset + bytes, cluster);
  // What version 2 has below a cluster would show again; a raw data file is to be read without us.
  const bool below_shows = header_.version < 3 && options_.backing != nullptr;
  if (begin >= end || below_shows || header_.raw_external_data()) {
    return {};
  }
  for (uint64_t at = begin; at < end;) {
    const Extent extent = TRY(mapping_->Find(at, end - at));
    const bool nothing_below = options_.backing == nullptr;
    const uint64_t next = std::min(AlignDown(at, cluster) + cluster, end);
    if (extent.kind == ExtentKind::kUnallocated && extent.bytes >= next - at && nothing_below) {
      at = extent.bytes >= end - at ? end : at + AlignDown(extent.bytes, cluster);
      continue;
    }
    TRY(OwnTable(at));
    const L2Entry old = TRY(mapping_->Get(at));
    L2Entry now;
    if (!nothing_below || (old.host_offset() == 0 && !old.compressed())) {
      now = TRY(ZeroEntry(at, old, at, next, Unmap::kUnmap));
    }
    if (now != old) {
      TRY(mapping_->Set(at, now));
      Retire(old, true);
    }
    at = next;
    if (retired_clusters_ >= kMaxRetiredClusters) {
      TRY(FlushMetadata());
    }
  }
  return {};
}

}  // namespace nandu::qcow2
