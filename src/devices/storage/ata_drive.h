// A drive on an ATA port, and one command on its way through it. The port carries registers and data; what
// they mean is the drive's. ATA8-ACS. The port's I/O loop only, but for what Save and Load say.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "base/described.h"
#include "base/result.h"
#include "devices/storage/disk_front.h"
#include "devices/storage/scsi_command.h"
#include "devices/storage/scsi_unit.h"

namespace nandu {

class AtaDrive;

struct AtaRegisters {
  uint8_t command = 0;
  uint8_t device = 0;
  uint16_t feature = 0;
  uint16_t count = 0;
  uint64_t lba = 0;  // 48 bits, as the six registers hold them
};

// How a command moves its data: what the port tells the guest besides the status.
enum class AtaProtocol : uint8_t { kNoData, kPioIn, kPioOut, kDma, kPacket, kQueued };

struct AtaCommand {
  // ---- the port's, before Execute ----
  AtaRegisters in;
  std::array<uint8_t, 16> cdb{};
  std::span<const iovec> data;                  // the guest's memory, in the direction the command has
  void (*done)(AtaCommand* command) = nullptr;  // on the loop, once; may run within Execute
  void* owner = nullptr;

  // ---- the answer ----
  AtaProtocol protocol = AtaProtocol::kNoData;
  AtaRegisters out;
  uint8_t status = 0;
  uint8_t error = 0;
  uint64_t moved = 0;      // bytes
  bool to_memory = false;  // ... that way
  bool parked = false;     // the VM stops: not answered, to be executed again

  // ---- the drive's own ----
  AtaDrive* drive = nullptr;
  DiskRequest disk;
  void (*next)(AtaCommand& command) = nullptr;
  ScsiCommand scsi;
  std::vector<iovec> pieces;
  std::vector<uint8_t> scratch;
  uint64_t offset = 0;  // of the disk
  uint64_t bytes = 0;
  size_t step = 0;
};

// What a drive remembers; of the fields of the other kind nothing.
struct AtaDriveState {
  bool write_cache = true;
  bool smart = true;
  uint8_t multiple = 16;
  uint16_t dma_mode = 0x2000;  // IDENTIFY's words 62, 63 and 88 have the selected mode in their upper byte
  uint8_t dma_kind = 88;
  uint8_t failed_tag = 0;  // of a queued command; 0x80: none
  uint64_t failed_lba = 0;
  uint8_t failed_status = 0;
  uint8_t failed_error = 0;
  ScsiUnitState unit;  // ATAPI
};
BOOST_DESCRIBE_STRUCT(AtaDriveState, (),
                      (write_cache, smart, multiple, dma_mode, dma_kind, failed_tag, failed_lba,
                       failed_status, failed_error, unit))
Result<> Validate(const AtaDriveState& state);

class AtaDrive {
 public:
  AtaDrive() = default;
  AtaDrive(const AtaDrive&) = delete;
  AtaDrive& operator=(const AtaDrive&) = delete;
  virtual ~AtaDrive() = default;

  // Its first register FIS after a reset: PxSIG and PxTFD follow from it (Serial ATA 3.x, 11.4). Any thread.
  virtual uint32_t signature() const = 0;
  virtual uint8_t reset_status() const = 0;
  virtual DiskFront& disk() = 0;
  virtual void Execute(AtaCommand* command) = 0;
  virtual void Reset() = 0;
  virtual AtaDriveState Save() const = 0;                 // while the port is quiesced
  virtual Result<> Load(const AtaDriveState& state) = 0;  // likewise
};

// Who an ATA drive says it is.
struct AtaIdentity {
  std::string serial;   // at most 20 bytes
  std::string model;    // at most 40
  std::string version;  // at most 8
  uint64_t wwn = 0;     // 0: none
};

// ATA8-ACS, 3.2.10: strings in IDENTIFY data have the bytes of each word exchanged.
void PutAtaText(uint8_t* at, std::string_view text, size_t bytes);

}  // namespace nandu
