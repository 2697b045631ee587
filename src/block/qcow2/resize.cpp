// Another size for the disk. The header's size, L1 size and L1 place change in one write.
#include <algorithm>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {

Result<> Image::Resize(uint64_t disk_bytes) {
  if (disk_bytes % 512 != 0) {
    return Fail(Errc::kInvalidArgument, "a disk's size is a multiple of 512 bytes; {} is none", disk_bytes);
  }
  if (disk_bytes > INT64_MAX || header_.l1_entries_for(disk_bytes) * 8 > kMaxL1Bytes) {
    return Fail(Errc::kInvalidArgument, "{} bytes are more than qcow2 can describe with clusters of {} bytes",
                disk_bytes, header_.cluster_bytes());
  }
  if (header_.version < 3 && !snapshots_.empty()) {
    return Fail(Errc::kUnsupported,
                "a version 2 image with snapshots keeps its size: they do not say theirs");
  }
  if (header_.bitmaps) {
    return Fail(Errc::kUnsupported,
                "it has persistent bitmaps, which are as large as the disk; remove them first: qemu-img "
                "bitmap --remove");
  }
  TRY(BeginChange());
  if (disk_bytes == size()) {
    return {};
  }
  return disk_bytes > size() ? Grow(disk_bytes) : Shrink(disk_bytes);
}

Result<> Image::GrowL1(uint64_t entries) {
  const uint64_t old_entries = mapping_->l1_entries();
  const uint64_t old_clusters = header_.clusters_for(old_entries * 8);
  TRY(FlushMetadata());
  TRY(BeginCounting());
  const ClusterRun run = TRY(refcounts_->AllocateAll(header_.clusters_for(entries * 8)));
  std::vector<uint64_t> table(entries);
  std::vector<std::byte> bytes(run.clusters * header_.cluster_bytes());
  for (uint64_t i = 0; i < old_entries; ++i) {
    table[i] = mapping_->l1(i);
    StoreBe64(bytes.data() + i * 8, table[i]);
  }
  Header moved = header_;
  moved.l1_offset = run.offset;
  moved.l1_entries = static_cast<uint32_t>(entries);
  const auto write = [&]() -> Result<> {
    TRY(file_.Write(run.offset, bytes));
    TRY(refcounts_->WriteBack());
    TRY(file_.Flush());
    TRY(WriteDisk(file_, moved));
    return file_.Flush();
  };
  if (Result<> written = write(); !written) {
    return written;  // whether the header has switched is not known: the new table stays counted
  }
  const uint64_t old_offset = header_.l1_offset;
  metadata_.Add(run.offset >> header_.cluster_bits, run.clusters);
  header_.l1_offset = moved.l1_offset;
  header_.l1_entries = moved.l1_entries;
  mapping_->ReplaceL1(std::move(table));
  if (old_clusters != 0) {
    metadata_.Remove(old_offset >> header_.cluster_bits, old_clusters);
    RetireClusters(old_offset, old_clusters * header_.cluster_bytes(), false);
  }
  return {};
}

Result<> Image::Grow(uint64_t disk_bytes) {
  const uint64_t old_bytes = size();
  if (header_.l1_entries_for(disk_bytes) > mapping_->l1_entries()) {
    TRY(GrowL1(header_.l1_entries_for(disk_bytes)));
  }
  header_.size_bytes = disk_bytes;
  mapping_->SetDiskBytes(disk_bytes);
  const auto grow = [&]() -> Result<> {
    // The guest has never seen what a longer backing file holds there.
    const uint64_t below = options_.backing != nullptr ? std::min(options_.backing->size(), disk_bytes) : 0;
    if (below > old_bytes) {
      TRY(WriteZeroes(old_bytes, below - old_bytes, Unmap::kKeep));
    }
    if (header_.raw_external_data() && options_.data_file->size() < disk_bytes) {
      TRY(options_.data_file->Truncate(disk_bytes));
    }
    TRY(FlushMetadata());
    TRY(WriteDisk(file_, header_));
    return file_.Flush();
  };
  if (Result<> grown = grow(); !grown) {
    header_.size_bytes = old_bytes;
    mapping_->SetDiskBytes(old_bytes);
    return grown;
  }
  return {};
}

// First what lies behind the new end goes, so that it is zero should the disk grow again.
Result<> Image::Shrink(uint64_t disk_bytes) {
  const uint64_t old_bytes = size();
  const uint64_t cluster = header_.cluster_bytes();
  const uint64_t whole = AlignUp(disk_bytes, cluster);
  if (const uint64_t part_end = std::min(whole, old_bytes); disk_bytes < part_end) {
    const std::vector<std::byte> zeroes(part_end - disk_bytes);
    if (!TRY(ReadsAsZero(disk_bytes, zeroes.size()))) {
      TRY(Write(disk_bytes, zeroes));
    }
  }
  for (uint64_t at = whole; at < old_bytes;) {
    const uint64_t index = mapping_->l1_index(at);
    if ((mapping_->l1(index) & kOffsetMask) == 0) {
      at = (index + 1) * header_.l2_span();
      continue;
    }
    const L2Entry old = TRY(mapping_->Get(at));
    if (old != L2Entry{}) {
      TRY(OwnTable(at));
      TRY(mapping_->Set(at, L2Entry{}));
      Retire(old, true);
    }
    at += cluster;
  }
  TRY(FlushMetadata());
  // Tables of which nothing is left.
  for (uint64_t index = header_.l1_entries_for(disk_bytes); index < mapping_->l1_entries(); ++index) {
    const uint64_t table = mapping_->l1(index) & kOffsetMask;
    if (table != 0) {
      mapping_->ForgetTable(table);
      mapping_->SetL1(index, 0);
      metadata_.Remove(table >> header_.cluster_bits, 1);
      RetireClusters(table, cluster, false);
    }
  }
  TRY(FlushMetadata());
  Header smaller = header_;
  smaller.size_bytes = disk_bytes;
  TRY(WriteDisk(file_, smaller));
  TRY(file_.Flush());
  header_.size_bytes = disk_bytes;
  mapping_->SetDiskBytes(disk_bytes);
  return header_.raw_external_data() ? options_.data_file->Truncate(disk_bytes) : Result<>();
}

}  // namespace nandu::qcow2
