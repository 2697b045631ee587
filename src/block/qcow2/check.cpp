#include "block/qcow2/check.h"

#include <algorithm>
#include <cstring>

namespace nandu::qcow2 {

Result<CheckReport> Image::Check(Repair repair) { return Checker(*this).Run(repair); }

Result<CheckReport> Checker::Run(Image::Repair repair) {
  end_ = header_.clusters_for(image_.file_.size());
  Count(0, header_.cluster_bytes(), "the header");
  Count(header_.refcount_table_offset, uint64_t{header_.refcount_table_clusters} << header_.cluster_bits,
        "the refcount table");
  for (const uint64_t block : image_.refcounts_->table()) {
    if (block != 0) {
      Count(block, header_.cluster_bytes(), "a refcount block");
      if (References(block >> header_.cluster_bits) > 1) {
        Problem("the refcount block at {} is something else too", block);
        return report_;  // what it counts means nothing
      }
    }
  }
  std::vector<uint64_t> active(image_.mapping_->l1_entries());
  for (uint64_t i = 0; i < active.size(); ++i) {
    active[i] = image_.mapping_->l1(i);
  }
  TRY(CountL1(active, header_.l1_offset, true));
  for (const Snapshot& snapshot : image_.snapshots_) {
    const std::vector<uint64_t> l1 = TRY(image_.mapping_->ReadL1(snapshot.l1_offset, snapshot.l1_entries));
    TRY(CountL1(l1, snapshot.l1_offset, false));
  }
  if (header_.snapshots != 0) {
    Count(header_.snapshots_offset, image_.SnapshotTableBytes(), "the snapshot table");
  }
  TRY(CountBitmaps());
  TRY(CompareAll(repair));
  if (repair == Image::Repair::kYes) {
    TRY(image_.RefreshCopied());
    TRY(image_.file_.Flush());
    TRY(image_.mapping_->Load());
  }
  TRY(CompareActive());
  return report_;
}

void Checker::Count(uint64_t offset, uint64_t bytes, const char* what) {
  const uint64_t first = offset >> header_.cluster_bits;
  const uint64_t last = (offset + std::max<uint64_t>(bytes, 1) - 1) >> header_.cluster_bits;
  // The last cluster may be written in part.
  if (last > end_) {
    Problem("{} at {} lies behind the end of the file", what, offset);
    return;
  }
  for (uint64_t cluster = first; cluster <= last; ++cluster) {
    std::unique_ptr<std::array<uint32_t, kGroup>>& group = references_[cluster / kGroup];
    if (group == nullptr) {
      group = std::make_unique<std::array<uint32_t, kGroup>>();
    }
    ++(*group)[cluster % kGroup];
  }
}

uint32_t Checker::References(uint64_t cluster) const {
  const auto group = references_.find(cluster / kGroup);
  return group == references_.end() ? 0 : (*group->second)[cluster % kGroup];
}

Result<> Checker::CountL1(const std::vector<uint64_t>& l1, uint64_t offset, bool active) {
  if (!l1.empty()) {
    Count(offset, l1.size() * 8, "an L1 table");
  }
  for (const uint64_t entry : l1) {
    const uint64_t table = entry & kOffsetMask;
    if (table == 0) {
      continue;
    }
    Count(table, header_.cluster_bytes(), "an L2 table");
    if (active && References(table >> header_.cluster_bits) > 1) {
      Problem("the L2 table at {} is something else too", table);
    } else if (table >> header_.cluster_bits < end_) {
      TRY(CountL2(table, active));
    }
  }
  return {};
}

Result<> Checker::CountL2(uint64_t table, bool active) {
  if (active && image_.mapping_->dirty()) {
    TRY(image_.FlushMetadata());
  }
  const std::vector<L2Entry> entries = TRY(image_.mapping_->ReadL2(table));
  for (uint64_t i = 0; i < entries.size(); ++i) {
    const L2Entry& entry = entries[i];
    if (entry == L2Entry{}) {
      continue;
    }
    if (entry.compressed()) {
      const CompressedRange range = CompressedAt(header_, entry.descriptor);
      Count(range.offset, range.bytes, "a compressed cluster");
    } else if (!header_.external_data() && entry.host_offset() != 0) {
      if ((entry.host_offset() & (header_.cluster_bytes() - 1)) != 0) {
        Problem("entry {} of the L2 table at {} is no offset of a cluster: {:#x}", i, table,
                entry.descriptor);
      } else {
        Count(entry.host_offset(), header_.cluster_bytes(), "a data cluster");
      }
    }
  }
  return {};
}

Result<> Checker::CountBitmaps() {
  if (!header_.bitmaps) {
    return {};
  }
  std::vector<std::byte> directory(header_.bitmaps->directory_bytes);
  Count(header_.bitmaps->directory_offset, directory.size(), "the bitmap directory");
  TRY(image_.file_.Read(header_.bitmaps->directory_offset, directory));
  size_t at = 0;
  for (uint32_t i = 0; i < header_.bitmaps->count; ++i) {
    BitmapWire bitmap;
    if (at > directory.size() || directory.size() - at < sizeof(bitmap)) {
      Problem("the bitmap directory ends within entry {}", i);
      return {};
    }
    std::memcpy(&bitmap, directory.data() + at, sizeof(bitmap));
    at += AlignUp(sizeof(bitmap) + bitmap.name_bytes + uint64_t{bitmap.extra_bytes}, 8);
    const uint64_t table_bytes = uint64_t{bitmap.table_entries} * 8;
    if (table_bytes > kMaxL1Bytes || bitmap.table_offset >= kMaxHostOffset) {
      Problem("bitmap {} has a table of {} bytes at {}", i, table_bytes, uint64_t{bitmap.table_offset});
      continue;
    }
    Count(bitmap.table_offset, table_bytes, "a bitmap's table");
    std::vector<std::byte> table(table_bytes);
    TRY(image_.file_.Read(bitmap.table_offset, table));
    for (size_t entry = 0; entry < table.size(); entry += 8) {
      if (const uint64_t data = LoadBe64(table.data() + entry) & kOffsetMask; data != 0) {
        Count(data, header_.cluster_bytes(), "a bitmap's data");
      }
    }
  }
  return {};
}

// A count that is too low lets a cluster in use be given away; one that is too high loses space.
Result<> Checker::CompareAll(Image::Repair repair) {
  const auto compare = [&](uint64_t cluster) -> Result<> {
    const uint64_t counted = References(cluster);
    const uint64_t says = TRY(image_.refcounts_->Get(cluster));
    if (counted == says) {
      return {};
    }
    if (repair == Image::Repair::kYes && counted <= header_.max_refcount()) {
      return image_.refcounts_->Set(cluster, counted);
    }
    if (says < counted) {
      Problem("cluster {} has {} references and its refcount is {}", cluster, counted, says);
    } else {
      ++report_.leaks;
    }
    return {};
  };
  const uint64_t per_block = header_.refcounts_per_block();
  for (uint64_t block = 0; block < image_.refcounts_->table().size(); ++block) {
    if (image_.refcounts_->table()[block] != 0) {
      for (uint64_t i = 0; i < per_block; ++i) {
        TRY(compare(block * per_block + i));
      }
    }
  }
  // What no block counts.
  for (const auto& [group, counts] : references_) {
    for (uint64_t i = 0; i < kGroup; ++i) {
      const uint64_t cluster = group * kGroup + i;
      const uint64_t block = cluster / per_block;
      const bool is_counted =
          block < image_.refcounts_->table().size() && image_.refcounts_->table()[block] != 0;
      if ((*counts)[i] != 0 && !is_counted) {
        Problem("cluster {} has {} references and no refcount", cluster, (*counts)[i]);
      }
    }
  }
  if (repair == Image::Repair::kYes) {
    TRY(image_.refcounts_->WriteBack());
    TRY(image_.file_.Flush());
  }
  return {};
}

// "This information is only accurate in the active L1 table": bit 63 says that the refcount is one.
Result<> Checker::CompareActive() {
  for (uint64_t index = 0; index < image_.mapping_->l1_entries(); ++index) {
    const uint64_t l1 = image_.mapping_->l1(index);
    const uint64_t table = l1 & kOffsetMask;
    if (table == 0 || table >> header_.cluster_bits >= end_) {
      continue;
    }
    const uint64_t table_count = TRY(image_.refcounts_->Get(table >> header_.cluster_bits));
    if ((table_count == 1) != ((l1 & kCopied) != 0)) {
      Problem("L1 entry {} is {:#x} and its table's refcount is {}", index, l1, table_count);
    }
    const std::vector<L2Entry> entries = TRY(image_.mapping_->ReadL2(table));
    for (uint64_t i = 0; i < entries.size(); ++i) {
      const L2Entry& entry = entries[i];
      if (entry.compressed() || header_.external_data() || entry.host_offset() == 0) {
        continue;
      }
      const uint64_t count = TRY(image_.refcounts_->Get(entry.host_offset() >> header_.cluster_bits));
      if ((count == 1) != entry.copied()) {
        Problem("entry {} of the L2 table at {} is {:#x} and its cluster's refcount is {}", i, table,
                entry.descriptor, count);
      }
      if (!ExtentAt(header_, entry, (index * header_.l2_entries() + i) << header_.cluster_bits, 1)) {
        Problem("entry {} of the L2 table at {} is damaged: {:#x}", i, table, entry.descriptor);
      }
    }
  }
  return {};
}

}  // namespace nandu::qcow2
