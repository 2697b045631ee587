// virtio-scsi on the wire. virtio 1.2, section 5.6. Little-endian; constants and layouts only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu::vscsi {

inline constexpr uint64_t kFeatureHotplug = 1ULL << 1;
inline constexpr uint64_t kFeatureChange = 1ULL << 2;

inline constexpr unsigned kControlQueue = 0;
inline constexpr unsigned kEventQueue = 1;
inline constexpr unsigned kFirstRequestQueue = 2;

// 5.6.4
struct Config {
  uint32_t num_queues;
  uint32_t seg_max;
  uint32_t max_sectors;
  uint32_t cmd_per_lun;
  uint32_t event_info_size;
  uint32_t sense_size;  // the driver's to write, as is the next
  uint32_t cdb_size;
  uint16_t max_channel;
  uint16_t max_target;
  uint32_t max_lun;
};
static_assert(sizeof(Config) == 36);
inline constexpr uint32_t kDefaultSenseSize = 96;
inline constexpr uint32_t kDefaultCdbSize = 32;
inline constexpr uint32_t kMaxCdbSize = 255;
inline constexpr uint32_t kMaxSenseSize = 4096;

// 5.6.6.1: a request is this, the CDB and what is written; its answer is the response, sense and what is read.
inline constexpr size_t kRequestHead = 19;
inline constexpr size_t kResponseHead = 12;
enum class Response : uint8_t {
  kOk = 0,
  kOverrun = 1,
  kAborted = 2,
  kBadTarget = 3,
  kReset = 4,
  kFailure = 9,
  kFunctionSucceeded = 10,
  kFunctionRejected = 11,
  kIncorrectLun = 12,
};

// 5.6.6.2
inline constexpr uint32_t kTypeTmf = 0;
inline constexpr uint32_t kTypeQuery = 1;
inline constexpr uint32_t kTypeSubscribe = 2;
struct TmfRequest {
  uint32_t type;
  uint32_t subtype;
  uint8_t lun[8];
  uint64_t tag;
};
static_assert(sizeof(TmfRequest) == 24);
enum class Tmf : uint32_t {
  kAbortTask = 0,
  kAbortTaskSet = 1,
  kClearAca = 2,
  kClearTaskSet = 3,
  kNexusReset = 4,
  kUnitReset = 5,
  kQueryTask = 6,
  kQueryTaskSet = 7,
};

// 5.6.6.3
struct Event {
  uint32_t event;
  uint8_t lun[8];
  uint32_t reason;
};
static_assert(sizeof(Event) == 16);
inline constexpr uint32_t kNoEvent = 0;
inline constexpr uint32_t kParameterChange = 3;
inline constexpr uint32_t kEventsMissed = 0x80000000;

}  // namespace nandu::vscsi
