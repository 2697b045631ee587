// Writing guest data: in place where the cluster is the image's own, else into a cluster of its own with what
// it held around the new data ("any write access must perform a COW operation").
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "block/qcow2/image.h"
#include "block/qcow2/vector_io.h"

namespace nandu::qcow2 {
namespace {

constexpr uint64_t kMaxRunBytes = 2 << 20;  // allocated at once

uint32_t BitsBetween(unsigned first, unsigned end) {
  return static_cast<uint32_t>((uint64_t{1} << end) - (uint64_t{1} << first));
}

}  // namespace

Result<> Image::Write(uint64_t offset, std::span<const std::byte> from) {
  const iovec vector{const_cast<std::byte*>(from.data()), from.size()};  // NOLINT: it is only read
  return Writev(offset, {&vector, 1});
}

Result<> Image::Writev(uint64_t offset, std::span<const iovec> from) {
  const uint64_t bytes = TotalBytes(from);
  NANDU_CHECK(offset <= size() && bytes <= size() - offset, "a write lies within the disk");
  TRY(BeginChange());
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t at = offset + done;
    const std::vector<iovec> rest = PartOf(from, done, bytes - done);
    const Extent extent = TRY(mapping_->Find(at, bytes - done));
    if (extent.kind == ExtentKind::kData && extent.owned) {
      done += TRY(WriteInPlace(at, extent, rest));
      continue;
    }
    TRY(OwnTable(at));
    const L2Entry entry = TRY(mapping_->Get(at));
    done += TRY(WriteCopying(at, entry, rest));
  }
  return {};
}

// "An implementation may only write to an image with unknown auto-clear features if it clears the respective
// bits."
Result<> Image::BeginChange() {
  NANDU_CHECK(options_.writable, "an image that is changed was opened for it");
  if (corrupt_) {
    return Fail(Errc::kCorrupt, "the image is marked corrupt; mend it with qemu-img check -r all");
  }
  if (changing_.load(std::memory_order_relaxed)) {
    return {};
  }
  const uint64_t kept = header_.autoclear & kRawExternalData;
  if (header_.autoclear != kept) {
    if ((header_.autoclear & kBitmapsValid) != 0) {
      Log(LogLevel::kWarning,
          "the image has dirty bitmaps, which nandu does not keep up to date: they are marked inconsistent");
    }
    Header cleared = header_;
    cleared.autoclear = kept;
    TRY(WriteFeatures(file_, cleared));
    TRY(file_.Flush());
    header_.autoclear = kept;
  }
  changing_.store(true, std::memory_order_release);
  return {};
}

// Lazy refcounts: before the first count changes, the header says that they are not kept up to date.
Result<> Image::BeginCounting() { return lazy_refcounts_ ? BeginDirty() : Result<>(); }

Result<> Image::BeginDirty() {
  if ((header_.incompatible & kDirty) == 0) {
    Header dirty = header_;
    dirty.incompatible |= kDirty;
    TRY(WriteFeatures(file_, dirty));
    TRY(file_.Flush());
    header_.incompatible = dirty.incompatible;
  }
  return {};
}

// An L2 table that is this image's alone: a new one, or a copy of one that a snapshot shares. It is linked to
// after what it holds, by Flush.
Result<> Image::OwnTable(uint64_t offset) {
  const uint64_t index = mapping_->l1_index(offset);
  const uint64_t entry = mapping_->l1(index);
  const uint64_t old = entry & kOffsetMask;
  if (old != 0 && (entry & kCopied) != 0) {
    if (metadata_.Overlaps(old >> header_.cluster_bits, 1)) {
      return {};  // as it should
    }
    return MarkCorrupt(Format("the L2 table at {} is not where tables are", old));
  }
  TRY(BeginCounting());
  // What the old one held is in the file: only tables that are our own become dirty.
  const Result<ClusterRun> run = refcounts_->Allocate(1);
  if (!run) {
    return run.error().code == Errc::kCorrupt ? Result<>(MarkCorrupt(run.error().message))
                                              : tl::unexpected<Error>(run.error());
  }
  mapping_->ForgetTable(run->offset);
  const auto fill = [&]() -> Result<> {
    std::vector<std::byte> bytes(header_.cluster_bytes());
    if (old != 0) {
      TRY(file_.Read(old, bytes));
    }
    return file_.Write(run->offset, bytes);
  };
  if (Result<> filled = fill(); !filled) {
    Unallocate({run->offset, 1, true});
    return filled;
  }
  metadata_.Add(run->offset >> header_.cluster_bits, 1);
  mapping_->SetL1(index, run->offset | kCopied);
  if (old != 0) {
    metadata_.Remove(old >> header_.cluster_bits, 1);
    RetireClusters(old, header_.cluster_bytes(), false);
  }
  return {};
}

Result<uint64_t> Image::WriteInPlace(uint64_t offset, const Extent& extent, std::span<const iovec> from) {
  if (!MayWriteInPlace(extent)) {
    return MarkCorrupt(
        Format("byte {} of the disk is at {} of the file, where metadata is", offset, extent.host_offset));
  }
  TRY(data().Writev(extent.host_offset, PartOf(from, 0, extent.bytes)));
  return extent.bytes;
}

bool Image::HasOwnHost(const L2Entry& entry) const {
  return !entry.compressed() && entry.copied() && (entry.host_offset() != 0 || header_.external_data());
}

// Data in it, that a new cluster has to take over whole.
bool Image::LeavesHost(const L2Entry& entry) const {
  return entry.compressed() || (entry.host_offset() != 0 && !HasOwnHost(entry));
}

Result<Image::Target> Image::FindTarget(uint64_t offset, const L2Entry& entry, uint64_t end) {
  const uint64_t first = AlignDown(offset, header_.cluster_bytes());
  if (header_.external_data()) {
    return Target{first, 1, false};  // "the offset must match the guest offset"
  }
  if (HasOwnHost(entry)) {
    if (metadata_.Overlaps(entry.host_offset() >> header_.cluster_bits, 1)) {
      return MarkCorrupt(
          Format("byte {} of the disk is at {} of the file, where metadata is", offset, entry.host_offset()));
    }
    return Target{entry.host_offset(), 1, false};
  }
  // As many as follow and need a cluster too, of the same L2 table.
  const uint64_t table_end = (offset / header_.l2_span() + 1) * header_.l2_span();
  const uint64_t last = std::min({AlignUp(end, header_.cluster_bytes()), table_end,
                                  first + std::max(kMaxRunBytes, header_.cluster_bytes())});
  uint64_t wanted = 1;
  for (uint64_t at = first + header_.cluster_bytes(); at < last; at += header_.cluster_bytes()) {
    if (HasOwnHost(TRY(mapping_->Get(at)))) {
      break;
    }
    ++wanted;
  }
  TRY(BeginCounting());
  const Result<ClusterRun> run = refcounts_->Allocate(wanted);
  if (!run) {
    return run.error().code == Errc::kCorrupt ? MarkCorrupt(run.error().message)
                                              : tl::unexpected<Error>(run.error());
  }
  return Target{run->offset, run->clusters, true};
}

// Nobody links to it yet, so that it is free at once.
void Image::Unallocate(const Target& target) {
  if (target.fresh) {
    // Where even that fails, it is a leak.
    static_cast<void>(refcounts_->Decrement(target.host_offset >> header_.cluster_bits, target.clusters));
  }
}

Result<uint64_t> Image::WriteCopying(uint64_t offset, const L2Entry& entry, std::span<const iovec> from) {
  const uint64_t cluster = header_.cluster_bytes();
  const uint64_t first = AlignDown(offset, cluster);
  const Target target = TRY(FindTarget(offset, entry, offset + TotalBytes(from)));
  const uint64_t end = std::min(offset + TotalBytes(from), first + target.clusters * cluster);
  const L2Entry last = TRY(mapping_->Get(end - 1));
  // A subcluster is written whole; so is a cluster that leaves one behind with data in it.
  const uint64_t unit = header_.subcluster_bytes();
  const uint64_t pad_begin = AlignDown(offset, LeavesHost(entry) ? cluster : unit);
  const uint64_t pad_end = AlignUp(end, LeavesHost(last) ? cluster : unit);
  const std::vector<iovec> data = PartOf(from, 0, end - offset);
  if (Result<> written = WriteRun(target, first, offset, pad_begin, pad_end, data); !written) {
    Unallocate(target);
    return tl::unexpected<Error>(written.error());
  }
  TRY(Link(target, first, pad_begin, pad_end));
  return end - offset;
}

// The data, and around it what the disk holds there now.
Result<> Image::WriteRun(const Target& target, uint64_t first_cluster, uint64_t begin, uint64_t pad_begin,
                         uint64_t pad_end, std::span<const iovec> data) {
  const uint64_t end = begin + TotalBytes(data);
  const auto host = [&](uint64_t at) { return target.host_offset + (at - first_cluster); };
  const uint64_t disk_end =
      std::max(end, std::min(pad_end, size()));  // past the disk's end there is nothing to keep
  const bool head_zero = TRY(ReadsAsZero(pad_begin, begin - pad_begin));
  const bool tail_zero = TRY(ReadsAsZero(end, disk_end - end));
  if (head_zero && tail_zero && target.fresh && this->data().grows() &&
      target.host_offset >= this->data().size()) {
    // What is past the end of the file is zero.
    TRY(this->data().Truncate(host(pad_end)));
    return this->data().Writev(host(begin), data);
  }
  std::vector<std::byte> head(begin - pad_begin);
  std::vector<std::byte> tail(pad_end - end);
  if (!head_zero) {
    TRY(Read(pad_begin, head));
  }
  if (!tail_zero) {
    TRY(Read(end, std::span(tail).first(disk_end - end)));
  }
  std::vector<iovec> all;
  if (!head.empty()) {
    all.push_back({head.data(), head.size()});
  }
  all.insert(all.end(), data.begin(), data.end());
  if (!tail.empty()) {
    all.push_back({tail.data(), tail.size()});
  }
  return this->data().Writev(host(pad_begin), all);
}

// The L2 entries name the new clusters; what they named before loses a reference.
Result<> Image::Link(const Target& target, uint64_t first_cluster, uint64_t pad_begin, uint64_t pad_end) {
  const uint64_t cluster = header_.cluster_bytes();
  for (uint64_t i = 0; i < target.clusters; ++i) {
    const uint64_t at = first_cluster + i * cluster;
    const L2Entry old = TRY(mapping_->Get(at));
    L2Entry now;
    now.descriptor = (target.host_offset + i * cluster) | kCopied;
    if (header_.extended_l2()) {
      const uint64_t from = std::max(pad_begin, at) - at;
      const uint64_t to = std::min(pad_end, at + cluster) - at;
      const uint32_t written = BitsBetween(static_cast<unsigned>(from / header_.subcluster_bytes()),
                                           static_cast<unsigned>(to / header_.subcluster_bytes()));
      const uint64_t before = LeavesHost(old) ? 0 : old.subclusters;
      const uint32_t allocated = static_cast<uint32_t>(before) | written;
      const uint32_t zero = static_cast<uint32_t>(before >> 32) & ~written;
      now.subclusters = uint64_t{zero} << 32 | allocated;
    }
    TRY(mapping_->Set(at, now));
    if (LeavesHost(old)) {
      Retire(old, false);
    }
  }
  return {};
}

}  // namespace nandu::qcow2
