// virtio-balloon's features, queues, configuration and statistics. virtio 1.2, section 5.5.
#pragma once

#include <cstdint>

namespace nandu::balloon {

// 5.5.3
inline constexpr uint64_t kFeatureStatsVq = 1ULL << 1;
inline constexpr uint64_t kFeatureDeflateOnOom = 1ULL << 2;
inline constexpr uint64_t kFeaturePagePoison = 1ULL << 4;
inline constexpr uint64_t kFeaturePageReporting = 1ULL << 5;

// Page numbers count 4 KiB whatever the guest's and the host's pages are (5.5.6).
inline constexpr unsigned kPageShift = 12;
inline constexpr uint64_t kPageBytes = uint64_t{1} << kPageShift;

// 5.5.2. A queue whose feature is not offered takes no number: QEMU and Linux's driver close the gap, so that
// without free page hints the reporting queue is the fourth.
inline constexpr unsigned kInflateQueue = 0;
inline constexpr unsigned kDeflateQueue = 1;
inline constexpr unsigned kStatsQueue = 2;
inline constexpr unsigned kReportingQueue = 3;
inline constexpr unsigned kMaxQueues = 4;

// 5.5.4; little-endian with legacy drivers too.
struct Config {
  uint32_t num_pages;              // what the device asks for
  uint32_t actual;                 // what the driver has given; written by the driver
  uint32_t free_page_hint_cmd_id;  // 0: no hints are wanted
  uint32_t poison_val;             // written by the driver
};
static_assert(sizeof(Config) == 16);

// 5.5.6.3: one entry of a statistics buffer. The tag is an index into BalloonStats::values.
struct [[gnu::packed]] Stat {
  uint16_t tag;
  uint64_t value;
};
static_assert(sizeof(Stat) == 10);

}  // namespace nandu::balloon
