// virtio-blk on the wire: feature bits, configuration, requests. virtio 1.2, section 5.2. Little-endian; a
// legacy guest of this machine has the same order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu::blk {

// 5.2.3
inline constexpr uint64_t kFeatureSegMax = 1ULL << 2;
inline constexpr uint64_t kFeatureGeometry = 1ULL << 4;
inline constexpr uint64_t kFeatureReadOnly = 1ULL << 5;
inline constexpr uint64_t kFeatureBlkSize = 1ULL << 6;
inline constexpr uint64_t kFeatureFlush = 1ULL << 9;
inline constexpr uint64_t kFeatureTopology = 1ULL << 10;
inline constexpr uint64_t kFeatureConfigWce = 1ULL << 11;
inline constexpr uint64_t kFeatureMultiQueue = 1ULL << 12;
inline constexpr uint64_t kFeatureDiscard = 1ULL << 13;
inline constexpr uint64_t kFeatureWriteZeroes = 1ULL << 14;

inline constexpr uint64_t kSectorBytes = 512;  // of every sector number, whatever the block size

inline constexpr uint32_t kMaxRequestSectors = 0x3fffff;  // of one request, as QEMU: just below 2 GiB

// 5.2.4
struct Config {
  uint64_t capacity;  // sectors
  uint32_t size_max;
  uint32_t seg_max;
  uint16_t cylinders;
  uint8_t heads;
  uint8_t sectors;
  uint32_t blk_size;  // bytes
  uint8_t physical_block_exp;
  uint8_t alignment_offset;
  uint16_t min_io_size;  // blocks
  uint32_t opt_io_size;  // blocks
  uint8_t writeback;
  uint8_t unused0;
  uint16_t num_queues;
  uint32_t max_discard_sectors;
  uint32_t max_discard_seg;
  uint32_t discard_sector_alignment;
  uint32_t max_write_zeroes_sectors;
  uint32_t max_write_zeroes_seg;
  uint8_t write_zeroes_may_unmap;
} __attribute__((packed));
static_assert(sizeof(Config) == 57);
static_assert(offsetof(Config, max_discard_sectors) == 36);
static_assert(offsetof(Config, max_write_zeroes_sectors) == 48);

// 5.2.6
inline constexpr uint32_t kTypeIn = 0;
inline constexpr uint32_t kTypeOut = 1;
inline constexpr uint32_t kTypeFlush = 4;
inline constexpr uint32_t kTypeFlushOut = 5;  // legacy Linux
inline constexpr uint32_t kTypeGetId = 8;
inline constexpr uint32_t kTypeDiscard = 11;
inline constexpr uint32_t kTypeWriteZeroes = 13;
inline constexpr uint32_t kTypeBarrier = 0x80000000;  // legacy: a hint that no feature offers

struct RequestHeader {
  uint32_t type;
  uint32_t reserved;
  uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);

struct RangeSegment {  // discard and write zeroes
  uint64_t sector;
  uint32_t num_sectors;
  uint32_t flags;
};
static_assert(sizeof(RangeSegment) == 16);
inline constexpr uint32_t kRangeUnmap = 1;

inline constexpr size_t kIdBytes = 20;

enum class Status : uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };

}  // namespace nandu::blk
