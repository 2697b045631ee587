// An image's header as checked numbers: every size and offset that the rest of the library uses has been
// bounded here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/checked.h"
#include "base/result.h"
#include "block/qcow2/image_file.h"
#include "block/qcow2/wire.h"

namespace nandu::qcow2 {

struct Header {
  uint32_t version = 3;
  uint32_t cluster_bits = 16;
  uint64_t size_bytes = 0;  // of the disk
  uint32_t l1_entries = 0;
  uint64_t l1_offset = 0;
  uint64_t refcount_table_offset = 0;
  uint32_t refcount_table_clusters = 0;
  uint32_t snapshots = 0;
  uint64_t snapshots_offset = 0;
  uint64_t incompatible = 0;
  uint64_t compatible = 0;
  uint64_t autoclear = 0;
  uint32_t refcount_order = 4;
  uint8_t compression = 0;   // 0: zlib, 1: zstd
  std::string backing_file;  // as it is written there; empty: none
  std::string backing_format;
  std::string data_file;  // of kExternalData
  struct Bitmaps {
    uint32_t count = 0;
    uint64_t directory_offset = 0;
    uint64_t directory_bytes = 0;
  };
  std::optional<Bitmaps> bitmaps;

  bool extended_l2() const { return (incompatible & kExtendedL2) != 0; }
  bool external_data() const { return (incompatible & kExternalData) != 0; }
  bool raw_external_data() const { return (autoclear & kRawExternalData) != 0; }
  bool lazy_refcounts() const { return (compatible & kLazyRefcounts) != 0; }

  uint64_t cluster_bytes() const { return uint64_t{1} << cluster_bits; }
  uint64_t l2_entry_bytes() const { return extended_l2() ? 16 : 8; }
  uint64_t l2_entries() const { return cluster_bytes() / l2_entry_bytes(); }  // of one table
  uint64_t l2_span() const { return l2_entries() << cluster_bits; }  // bytes of the disk that one table maps
  // The unit that is allocated, is zero, or is not.
  uint64_t subcluster_bytes() const {
    return extended_l2() ? cluster_bytes() / kSubclusters : cluster_bytes();
  }
  uint64_t refcounts_per_block() const { return cluster_bytes() * 8 >> refcount_order; }
  uint64_t max_refcount() const {
    return refcount_order == 6 ? UINT64_MAX : (uint64_t{1} << (1U << refcount_order)) - 1;
  }
  uint64_t l1_entries_for(uint64_t disk_bytes) const {
    return disk_bytes / l2_span() + (disk_bytes % l2_span() != 0 ? 1 : 0);
  }
  uint64_t clusters_for(uint64_t bytes) const { return AlignUp(bytes, cluster_bytes()) >> cluster_bits; }
};

// Reads and checks the header with its extensions. kUnsupported: it needs a feature we do not have; kCorrupt:
// it contradicts itself or its file.
Result<Header> ReadHeader(ReadableFile& file);

// Which part of the header changes: each is one write within its first sector, so that a crash leaves the old
// or the new.
Result<> WriteFeatures(ImageFile& file, const Header& header);       // the three feature words; version 3
Result<> WriteRefcountTable(ImageFile& file, const Header& header);  // where it is
Result<> WriteDisk(ImageFile& file, const Header& header);           // size and L1 table
Result<> WriteSnapshots(ImageFile& file, const Header& header);      // number and where

}  // namespace nandu::qcow2
