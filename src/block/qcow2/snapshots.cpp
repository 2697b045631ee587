// Internal snapshots: copies of the L1 table whose clusters count one reference more ("Snapshots"). While
// references are counted in bulk, the header says dirty, so that a crash in between is mended by counting
// anew.
#include <algorithm>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {
Result<size_t> Image::FindSnapshot(std::string_view id_or_name) const {
  for (size_t i = 0; i < snapshots_.size(); ++i) {
    if (snapshots_[i].id == id_or_name) {
      return i;
    }
  }
  for (size_t i = 0; i < snapshots_.size(); ++i) {
    if (snapshots_[i].name == id_or_name) {
      return i;
    }
  }
  return Fail(Errc::kNotFound, "the image has no snapshot '{}'", id_or_name);
}

// One reference more or less for every L2 table of `l1` and everything the tables name.
Result<> Image::CountTable(const std::vector<uint64_t>& l1, int change) {
  const auto count = [&](uint64_t offset, uint64_t bytes) -> Result<> {
    const uint64_t first = offset >> header_.cluster_bits;
    const uint64_t clusters = ((offset + bytes - 1) >> header_.cluster_bits) - first + 1;
    return change > 0 ? refcounts_->Increment(first, clusters) : refcounts_->Decrement(first, clusters);
  };
  for (const uint64_t entry : l1) {
    const uint64_t table = entry & kOffsetMask;
    if (table == 0) {
      continue;
    }
    const std::vector<L2Entry> entries = TRY(mapping_->ReadL2(table));
    for (const L2Entry& each : entries) {
      if (each.compressed()) {
        const CompressedRange range = CompressedAt(header_, each.descriptor);
        TRY(count(range.offset, range.bytes));
      } else if (each.host_offset() != 0) {
        TRY(count(each.host_offset(), header_.cluster_bytes()));
      }
    }
    TRY(count(table, header_.cluster_bytes()));
  }
  return {};
}

// "Bit 63 of all entries in the new active L1 table and all L2 tables referenced by it must be reconstructed
// from the refcount table." The tables' own counts say which of them may be written at all; a shared one
// keeps bits nobody trusts.
Result<> Image::RefreshCopied() {
  std::vector<uint64_t> l1 = TRY(mapping_->ReadL1(header_.l1_offset, header_.l1_entries));
  std::vector<std::byte> l1_bytes(l1.size() * 8);
  for (size_t i = 0; i < l1.size(); ++i) {
    const uint64_t table = l1[i] & kOffsetMask;
    if (table != 0) {
      const bool own = TRY(refcounts_->Get(table >> header_.cluster_bits)) == 1;
      l1[i] = table | (own ? kCopied : 0);
      std::vector<std::byte> bytes(header_.cluster_bytes());
      TRY(file_.Read(table, bytes));
      bool changed = false;
      for (size_t at = 0; at < bytes.size(); at += header_.l2_entry_bytes()) {
        const L2Entry entry{LoadBe64(bytes.data() + at), 0};
        if (entry.compressed() || entry.host_offset() == 0) {
          continue;
        }
        const bool alone = TRY(refcounts_->Get(entry.host_offset() >> header_.cluster_bits)) == 1;
        const uint64_t now = (entry.descriptor & ~kCopied) | (alone ? kCopied : 0);
        changed = changed || now != entry.descriptor;
        StoreBe64(bytes.data() + at, now);
      }
      if (changed) {
        TRY(file_.Write(table, bytes));
      }
    }
    StoreBe64(l1_bytes.data() + i * 8, l1[i]);
  }
  TRY(file_.Write(header_.l1_offset, l1_bytes));
  return {};
}

Result<> Image::CreateSnapshot(const std::string& name, uint32_t seconds, uint32_t nanoseconds) {
  if (header_.external_data()) {
    return Fail(Errc::kUnsupported, "an image with an external data file has no internal snapshots");
  }
  if (name.empty() || name.size() > 255) {
    return Fail(Errc::kInvalidArgument, "a snapshot's name has 1 to 255 bytes");
  }
  TRY(BeginChange());
  TRY(FlushMetadata());
  uint64_t last_id = 0;
  for (const Snapshot& each : snapshots_) {
    last_id = std::max<uint64_t>(last_id, std::strtoull(each.id.c_str(), nullptr, 10));
  }
  Snapshot snapshot;
  snapshot.id = std::to_string(last_id + 1);
  snapshot.name = name;
  snapshot.seconds = seconds;
  snapshot.nanoseconds = nanoseconds;
  snapshot.disk_bytes = size();
  snapshot.l1_entries = header_.l1_entries;
  const std::vector<uint64_t> l1 = TRY(mapping_->ReadL1(header_.l1_offset, header_.l1_entries));
  const uint64_t clusters = std::max<uint64_t>(header_.clusters_for(l1.size() * 8), 1);
  return RunCounted([&]() -> Result<> {
    const ClusterRun run = TRY(refcounts_->AllocateAll(clusters));
    snapshot.l1_offset = run.offset;
    std::vector<std::byte> bytes(clusters * header_.cluster_bytes());
    for (size_t i = 0; i < l1.size(); ++i) {
      StoreBe64(bytes.data() + i * 8, l1[i] & ~kCopied);
    }
    TRY(file_.Write(run.offset, bytes));
    TRY(CountTable(l1, +1));
    std::vector<Snapshot> all(snapshots_);
    all.push_back(snapshot);
    TRY(RefreshCopied());
    return StoreSnapshots(all);
  });
}

Result<> Image::ApplySnapshot(std::string_view id_or_name) {
  const Snapshot snapshot = snapshots_[TRY(FindSnapshot(id_or_name))];
  TRY(BeginChange());
  TRY(FlushMetadata());
  if (snapshot.disk_bytes != size()) {
    TRY(Prefix(Resize(snapshot.disk_bytes), "the disk had another size then"));
  }
  const std::vector<uint64_t> old = TRY(mapping_->ReadL1(header_.l1_offset, header_.l1_entries));
  std::vector<uint64_t> now = TRY(mapping_->ReadL1(snapshot.l1_offset, snapshot.l1_entries));
  if (now.size() > old.size()) {
    // Behind the disk a snapshot keeps its VM's state, which is the snapshot's alone.
    now.resize(old.size());
  }
  return RunCounted([&]() -> Result<> {
    TRY(CountTable(now, +1));
    std::vector<std::byte> bytes(old.size() * 8);
    for (size_t i = 0; i < now.size(); ++i) {
      StoreBe64(bytes.data() + i * 8, now[i] & ~kCopied);
    }
    TRY(refcounts_->WriteBack());
    TRY(file_.Flush());
    TRY(file_.Write(header_.l1_offset, bytes));
    TRY(file_.Flush());
    TRY(CountTable(old, -1));
    return RefreshCopied();
  });
}

Result<> Image::DeleteSnapshot(std::string_view id_or_name) {
  const size_t index = TRY(FindSnapshot(id_or_name));
  const Snapshot snapshot = snapshots_[index];
  TRY(BeginChange());
  TRY(FlushMetadata());
  const std::vector<uint64_t> l1 = TRY(mapping_->ReadL1(snapshot.l1_offset, snapshot.l1_entries));
  return RunCounted([&]() -> Result<> {
    std::vector<Snapshot> all(snapshots_);
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(index));
    TRY(StoreSnapshots(all));
    TRY(CountTable(l1, -1));
    TRY(refcounts_->Decrement(snapshot.l1_offset >> header_.cluster_bits,
                              std::max<uint64_t>(header_.clusters_for(l1.size() * 8), 1)));
    return RefreshCopied();
  });
}

// Version 2 has no dirty bit: there a crash in between may cost qemu-img check -r all.
Result<> Image::RunCounted(const std::function<Result<>()>& work) {
  if (header_.version >= 3) {
    TRY(BeginDirty());
  }
  if (Result<> done = work(); !done) {
    // What was counted halfway is counted anew; where even that fails, the header goes on saying dirty.
    if (const Result<CheckReport> mended = Check(Repair::kYes); !mended || mended->corruptions != 0) {
      corrupt_ = true;
    }
    return done;
  }
  TRY(refcounts_->WriteBack());
  TRY(file_.Flush());
  metadata_.Clear();
  metadata_.Add(0, 1);
  TRY(mapping_->Load());
  TRY(refcounts_->Load());
  TRY(LoadSnapshots());
  if (!lazy_refcounts_ && (header_.incompatible & kDirty) != 0) {
    header_.incompatible &= ~uint64_t{kDirty};
    TRY(WriteFeatures(file_, header_));
    TRY(file_.Flush());
  }
  return {};
}

}  // namespace nandu::qcow2
