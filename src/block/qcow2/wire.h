// The qcow2 format on disk: docs/interop/qcow2.txt of QEMU. Big-endian, no logic.
#pragma once

#include <boost/endian/arithmetic.hpp>
#include <cstddef>
#include <cstdint>

namespace nandu::qcow2 {

using boost::endian::big_uint16_t;
using boost::endian::big_uint32_t;
using boost::endian::big_uint64_t;

inline constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"

// "Header". Version 2 ends after snapshots_offset.
struct HeaderWire {
  big_uint32_t magic;
  big_uint32_t version;
  big_uint64_t backing_file_offset;
  big_uint32_t backing_file_size;
  big_uint32_t cluster_bits;
  big_uint64_t size;
  big_uint32_t crypt_method;
  big_uint32_t l1_size;
  big_uint64_t l1_table_offset;
  big_uint64_t refcount_table_offset;
  big_uint32_t refcount_table_clusters;
  big_uint32_t nb_snapshots;
  big_uint64_t snapshots_offset;
  big_uint64_t incompatible_features;
  big_uint64_t compatible_features;
  big_uint64_t autoclear_features;
  big_uint32_t refcount_order;
  big_uint32_t header_length;
  uint8_t compression_type;
  uint8_t padding[7];
};
static_assert(sizeof(HeaderWire) == 112);
inline constexpr uint32_t kHeaderBytesV2 = 72;
inline constexpr uint32_t kHeaderBytesV3 = 104;  // at least

enum Incompatible : uint64_t {
  kDirty = 1 << 0,
  kCorrupt = 1 << 1,
  kExternalData = 1 << 2,
  kCompressionType = 1 << 3,
  kExtendedL2 = 1 << 4,
  kKnownIncompatible = 0x1f,
};
enum Compatible : uint64_t { kLazyRefcounts = 1 << 0 };
enum Autoclear : uint64_t { kBitmapsValid = 1 << 0, kRawExternalData = 1 << 1 };

struct ExtensionWire {
  big_uint32_t type;
  big_uint32_t length;
};
static_assert(sizeof(ExtensionWire) == 8);
inline constexpr uint32_t kExtensionEnd = 0;
inline constexpr uint32_t kExtensionBackingFormat = 0xe2792aca;
inline constexpr uint32_t kExtensionFeatureNames = 0x6803f857;
inline constexpr uint32_t kExtensionBitmaps = 0x23852875;
inline constexpr uint32_t kExtensionEncryption = 0x0537be77;
inline constexpr uint32_t kExtensionDataFile = 0x44415441;

struct FeatureNameWire {
  uint8_t type;  // 0: incompatible
  uint8_t bit;
  char name[46];
};
static_assert(sizeof(FeatureNameWire) == 48);

struct BitmapsWire {
  big_uint32_t count;
  big_uint32_t reserved;
  big_uint64_t directory_bytes;
  big_uint64_t directory_offset;
};
static_assert(sizeof(BitmapsWire) == 24);

struct BitmapWire {  // an entry of the directory; extra data and name follow
  big_uint64_t table_offset;
  big_uint32_t table_entries;
  big_uint32_t flags;
  uint8_t type;
  uint8_t granularity_bits;
  big_uint16_t name_bytes;
  big_uint32_t extra_bytes;
};
static_assert(sizeof(BitmapWire) == 24);

struct SnapshotWire {  // extra data, id and name follow
  big_uint64_t l1_offset;
  big_uint32_t l1_entries;
  big_uint16_t id_bytes;
  big_uint16_t name_bytes;
  big_uint32_t seconds;
  big_uint32_t nanoseconds;
  big_uint64_t vm_clock_ns;
  big_uint32_t vm_state_bytes;
  big_uint32_t extra_bytes;
};
static_assert(sizeof(SnapshotWire) == 40);
struct SnapshotExtraWire {
  big_uint64_t vm_state_bytes;
  big_uint64_t disk_bytes;
};
static_assert(sizeof(SnapshotExtraWire) == 16);

// L1, L2, refcount table and bitmap table entries.
inline constexpr uint64_t kOffsetMask = 0x00fffffffffffe00;
inline constexpr uint64_t kRefcountOffsetMask = 0xfffffffffffffe00;
inline constexpr uint64_t kCopied = uint64_t{1} << 63;          // refcount is exactly one
inline constexpr uint64_t kCompressedFlag = uint64_t{1} << 62;  // L2 entries only
inline constexpr uint64_t kZeroFlag = 1;                        // L2 entries only
inline constexpr unsigned kSubclusters = 32;                    // of a cluster with an extended L2 entry

// QEMU's limits, so that neither of both makes an image the other cannot open.
inline constexpr uint32_t kMinClusterBits = 9;
inline constexpr uint32_t kMaxClusterBits = 21;
inline constexpr uint64_t kMaxL1Bytes = 32 << 20;
inline constexpr uint64_t kMaxRefcountTableBytes = 8 << 20;
inline constexpr uint32_t kMaxSnapshots = 65536;
inline constexpr uint64_t kMaxSnapshotTableBytes = 64 << 20;
inline constexpr uint32_t kMaxBackingNameBytes = 1023;
inline constexpr uint32_t kMaxSnapshotExtraBytes = 1024;
inline constexpr uint32_t kMaxBitmaps = 65535;
inline constexpr uint64_t kMaxHostOffset = uint64_t{1} << 56;  // what an entry can name

}  // namespace nandu::qcow2
