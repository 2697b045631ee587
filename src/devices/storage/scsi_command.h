// One SCSI command on its way through a logical unit. Made and owned by whoever carries it (virtio-scsi, ATAPI),
// pooled there: a command allocates nothing in steady state. The unit's loop only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "devices/storage/disk_front.h"
#include "devices/storage/scsi_wire.h"

namespace nandu {

class ScsiUnit;

struct ScsiCommand {
  // ---- the carrier's, before Execute ----
  std::array<uint8_t, 32> cdb{};
  std::span<const iovec> out;  // what the guest sends
  std::span<const iovec> in;   // what the guest gets
  void (*done)(ScsiCommand* command) = nullptr;  // on the loop, once; may run within Execute
  void* owner = nullptr;

  // ---- the answer ----
  scsi::Status status = scsi::Status::kGood;
  scsi::Sense sense;       // with kCheckCondition
  uint64_t moved = 0;      // bytes of `in` filled, or of `out` taken
  bool overrun = false;    // the guest's buffer is smaller than what the command moves: nothing was done
  bool parked = false;     // the VM stops: not answered, to be executed again from its start

  // ---- the unit's own ----
  ScsiUnit* unit = nullptr;
  DiskRequest disk;
  void (*next)(ScsiCommand& command) = nullptr;  // when `disk` succeeded
  std::vector<iovec> pieces;
  std::vector<uint8_t> scratch;
  uint64_t lba = 0;
  uint64_t blocks = 0;
  size_t step = 0;
};

// SPC-4, 4.5.3: the fixed format, with its response code.
inline std::array<uint8_t, scsi::kSenseBytes> SenseBytes(const scsi::Sense& sense, uint8_t response = 0x70) {
  std::array<uint8_t, scsi::kSenseBytes> bytes{};
  bytes[0] = response;
  bytes[2] = sense.key;
  bytes[7] = 10;
  bytes[12] = sense.code;
  bytes[13] = sense.qualifier;
  return bytes;
}

}  // namespace nandu
