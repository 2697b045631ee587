// The snapshot table: entries of variable length, replaced as a whole.
#include <algorithm>
#include <cstring>
#include <utility>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {
namespace {

std::vector<std::byte> Serialize(const std::vector<Snapshot>& snapshots) {
  std::vector<std::byte> table;
  for (const Snapshot& snapshot : snapshots) {
    SnapshotWire wire{};
    wire.l1_offset = snapshot.l1_offset;
    wire.l1_entries = snapshot.l1_entries;
    wire.id_bytes = static_cast<uint16_t>(snapshot.id.size());
    wire.name_bytes = static_cast<uint16_t>(snapshot.name.size());
    wire.seconds = snapshot.seconds;
    wire.nanoseconds = snapshot.nanoseconds;
    wire.vm_clock_ns = snapshot.vm_clock_ns;
    wire.vm_state_bytes = static_cast<uint32_t>(std::min<uint64_t>(snapshot.vm_state_bytes, UINT32_MAX));
    wire.extra_bytes = static_cast<uint32_t>(sizeof(SnapshotExtraWire) + snapshot.unknown_extra.size());
    SnapshotExtraWire extra{};
    extra.vm_state_bytes = snapshot.vm_state_bytes;
    extra.disk_bytes = snapshot.disk_bytes;
    const auto add = [&](const void* from, size_t bytes) {
      const auto* const begin = static_cast<const std::byte*>(from);
      table.insert(table.end(), begin, begin + bytes);
    };
    add(&wire, sizeof(wire));
    add(&extra, sizeof(extra));
    add(snapshot.unknown_extra.data(), snapshot.unknown_extra.size());
    add(snapshot.id.data(), snapshot.id.size());
    add(snapshot.name.data(), snapshot.name.size());
    table.resize(AlignUp(table.size(), 8));
  }
  return table;
}

}  // namespace

uint64_t Image::SnapshotTableBytes() const { return snapshot_table_bytes_; }

Result<> Image::LoadSnapshots() {
  snapshots_.clear();
  uint64_t at = header_.snapshots_offset;
  for (uint32_t i = 0; i < header_.snapshots; ++i) {
    SnapshotWire wire;
    TRY(file_.Read(at, {reinterpret_cast<std::byte*>(&wire), sizeof(wire)}));
    const uint64_t text_bytes = uint64_t{wire.id_bytes} + wire.name_bytes;
    const uint64_t entry_bytes = sizeof(wire) + uint64_t{wire.extra_bytes} + text_bytes;
    if (wire.extra_bytes > kMaxSnapshotExtraBytes ||
        at - header_.snapshots_offset + entry_bytes > kMaxSnapshotTableBytes ||
        at + entry_bytes > AlignUp(file_.size(), 512)) {
      return Fail(Errc::kCorrupt, "entry {} of its snapshot table reaches past the table's end", i);
    }
    std::vector<std::byte> rest(entry_bytes - sizeof(wire));
    TRY(file_.Read(at + sizeof(wire), rest));
    Snapshot snapshot;
    snapshot.l1_offset = wire.l1_offset;
    snapshot.l1_entries = wire.l1_entries;
    if (uint64_t{snapshot.l1_entries} * 8 > kMaxL1Bytes ||
        snapshot.l1_offset % header_.cluster_bytes() != 0 || snapshot.l1_offset > file_.size()) {
      return Fail(Errc::kCorrupt, "snapshot {} has an L1 table of {} entries at {}", i, snapshot.l1_entries,
                  snapshot.l1_offset);
    }
    snapshot.seconds = wire.seconds;
    snapshot.nanoseconds = wire.nanoseconds;
    snapshot.vm_clock_ns = wire.vm_clock_ns;
    snapshot.vm_state_bytes = wire.vm_state_bytes;
    snapshot.disk_bytes = header_.size_bytes;
    SnapshotExtraWire extra{};
    const size_t known = std::min<size_t>(wire.extra_bytes, sizeof(extra));
    std::memcpy(&extra, rest.data(), known);
    if (known >= sizeof(extra.vm_state_bytes)) {
      snapshot.vm_state_bytes = extra.vm_state_bytes;
    }
    if (known >= sizeof(extra)) {
      snapshot.disk_bytes = extra.disk_bytes;
    }
    const std::byte* const text = rest.data() + wire.extra_bytes;
    snapshot.unknown_extra.assign(std::as_const(rest).data() + known, text);
    snapshot.id.assign(reinterpret_cast<const char*>(text), wire.id_bytes);
    snapshot.name.assign(reinterpret_cast<const char*>(text) + wire.id_bytes, wire.name_bytes);
    snapshots_.push_back(std::move(snapshot));
    at += AlignUp(entry_bytes, 8);
  }
  snapshot_table_bytes_ = at - header_.snapshots_offset;
  if (header_.snapshots != 0) {
    metadata_.Add(header_.snapshots_offset >> header_.cluster_bits,
                  header_.clusters_for(snapshot_table_bytes_));
  }
  return {};
}

// A new table; one write of the header switches over.
Result<> Image::StoreSnapshots(const std::vector<Snapshot>& snapshots) {
  const std::vector<std::byte> table = Serialize(snapshots);
  if (snapshots.size() > kMaxSnapshots || table.size() > kMaxSnapshotTableBytes) {
    return Fail(Errc::kUnsupported, "the image has as many snapshots as qcow2 allows");
  }
  const uint64_t old_offset = header_.snapshots_offset;
  const uint64_t old_bytes = header_.snapshots != 0 ? snapshot_table_bytes_ : 0;
  Header moved = header_;
  moved.snapshots = static_cast<uint32_t>(snapshots.size());
  moved.snapshots_offset = 0;
  if (!table.empty()) {
    const ClusterRun run = TRY(refcounts_->AllocateAll(header_.clusters_for(table.size())));
    moved.snapshots_offset = run.offset;
    TRY(file_.Write(run.offset, table));
    metadata_.Add(run.offset >> header_.cluster_bits, run.clusters);
  }
  TRY(refcounts_->WriteBack());
  TRY(file_.Flush());
  TRY(WriteSnapshots(file_, moved));
  TRY(file_.Flush());
  header_.snapshots = moved.snapshots;
  header_.snapshots_offset = moved.snapshots_offset;
  snapshot_table_bytes_ = table.size();
  snapshots_ = snapshots;
  if (old_bytes != 0) {
    metadata_.Remove(old_offset >> header_.cluster_bits, header_.clusters_for(old_bytes));
    return refcounts_->Decrement(old_offset >> header_.cluster_bits, header_.clusters_for(old_bytes));
  }
  return {};
}

}  // namespace nandu::qcow2
