// What the two halves of virtio-blk share: constants of the device, the switch for the write cache, counters.
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include <nandu/block.h>

#include "base/unique_function.h"
#include "devices/virtio/blk/blk_counters.h"
#include "devices/virtio/blk/blk_wire.h"

namespace nandu {

// What becomes of an error of the node, as QEMU's rerror and werror.
enum class BlkErrorPolicy : uint8_t { kReport, kIgnore, kEnospc, kStop };

// A request that failed, and what its policy makes of it.
struct BlkError {
  bool is_read = false;
  BlkErrorPolicy action = BlkErrorPolicy::kReport;  // kReport, kIgnore or kStop
  bool no_space = false;
  int sys_errno = 0;
};

struct BlkShared {
  std::string node_name;
  std::atomic<uint64_t> size_bytes{0};  // whole sectors; it may change while the guest runs
  uint32_t logical_block_size = 512;
  bool read_only = false;
  bool discard = true;
  bool write_zeroes = true;
  uint32_t max_discard_sectors = 0;
  uint32_t max_write_zeroes_sectors = 0;
  std::array<char, blk::kIdBytes> serial{};
  BlkErrorPolicy read_errors = BlkErrorPolicy::kReport;
  BlkErrorPolicy write_errors = BlkErrorPolicy::kEnospc;
  // Hears of every request that the node failed; true: the VM stops for it. Any thread. May be null.
  UniqueFunction<bool(const BlkError& error)> on_error;

  std::atomic<bool> writeback{true};  // false: each write is on stable storage before it is used
  BlkCounters counters;
};

}  // namespace nandu
