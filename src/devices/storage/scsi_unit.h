// A logical unit as all of them are: identification, sense, mode pages, and the way of a command from its bytes to
// the disk and back. SPC-4. What a disk and a CD-ROM drive add is in scsi_disk and scsi_cd.
//
// Lives on one I/O loop, with its disk. Save and Load while its carrier is quiesced.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "devices/storage/disk_front.h"
#include "devices/storage/scsi_command.h"

namespace nandu {

struct ScsiSenseState {
  uint8_t key = 0;
  uint8_t code = 0;
  uint8_t qualifier = 0;
};
BOOST_DESCRIBE_STRUCT(ScsiSenseState, (), (key, code, qualifier))

// What a unit remembers. A CD-ROM drive's part is empty in a disk.
struct ScsiUnitState {
  std::vector<ScsiSenseState> attention;  // unit attentions not told yet, the next one first
  ScsiSenseState sense;                   // ATAPI: of the last command, for REQUEST SENSE
  bool write_cache = true;
  bool locked = false;  // PREVENT MEDIUM REMOVAL
  bool tray_open = false;
  bool has_medium = true;
  bool new_medium = false;  // GET EVENT STATUS has not told yet
  bool eject_request = false;
  uint64_t size_bytes = 0;  // a cross-check of fixed disks
};
BOOST_DESCRIBE_STRUCT(ScsiUnitState, (),
                      (attention, sense, write_cache, locked, tray_open, has_medium, new_medium, eject_request,
                       size_bytes))
Result<> Validate(const ScsiUnitState& state);

// Who a unit says it is, as QEMU's devices say it.
struct ScsiIdentity {
  std::string vendor = "QEMU";
  std::string product;        // "QEMU HARDDISK"
  std::string version = "2.5+";
  std::string serial;         // empty: none
  std::string device_id;      // VPD 0x83, vendor specific; empty: none
  uint64_t wwn = 0;           // NAA; 0: none
  uint64_t port_wwn = 0;
  uint16_t port_index = 0;
};

struct ScsiCounters {
  Counter commands, unknown, bad_fields, out_of_range, not_ready, overruns;
};

class ScsiUnit {
 public:
  ScsiUnit(std::shared_ptr<DiskFront> disk, ScsiIdentity identity, uint32_t block_bytes);
  virtual ~ScsiUnit() = default;
  ScsiUnit(const ScsiUnit&) = delete;
  ScsiUnit& operator=(const ScsiUnit&) = delete;

  DiskFront& disk() { return *disk_; }
  const std::shared_ptr<DiskFront>& shared_disk() const { return disk_; }
  const ScsiCounters& counters() const { return counters_; }

  // REPORT LUNS is its carrier's, who knows the others.
  void Execute(ScsiCommand* command);
  // SAM-5: a logical unit reset, or with the bus. With a unit attention, unless it is ATAPI's.
  virtual void Reset();
  void Attention(const scsi::Sense& sense);
  virtual ScsiUnitState Save() const;
  virtual Result<> Load(const ScsiUnitState& state);  // validated

 protected:
  enum class Dialect : uint8_t { kScsi, kAtapi };

  // ---- for disks and drives ----
  virtual Dialect dialect() const { return Dialect::kScsi; }
  virtual uint8_t device_type() const = 0;  // SPC-4, 6.4.2
  virtual bool removable() const = 0;
  virtual void Dispatch(ScsiCommand& command) = 0;                 // what is not everybody's
  virtual std::vector<uint8_t> VpdPages() const = 0;               // beyond 0x00, 0x80 and 0x83
  virtual bool VpdPage(uint8_t page, std::vector<uint8_t>* body) = 0;
  virtual std::vector<uint8_t> ModePages() const = 0;              // in the order of "all pages"
  virtual bool ModePage(uint8_t page, bool changeable, std::vector<uint8_t>* out) = 0;  // with its header
  virtual bool ModeSelect(uint8_t page, std::span<const uint8_t> body) = 0;  // without its header
  virtual bool has_block_descriptor() const { return false; }
  virtual uint8_t mode_parameter() const { return 0; }
  virtual uint8_t medium_type() const { return 0; }

  void Good(ScsiCommand& command, uint64_t moved = 0);
  void Check(ScsiCommand& command, const scsi::Sense& sense);
  // The bytes, as many as the allocation length and the guest's buffer take.
  void Reply(ScsiCommand& command, std::span<const uint8_t> bytes, uint64_t allocation);
  // Sends command.disk, with op, range and iov filled in; `next` goes on after it.
  void Transfer(ScsiCommand& command, void (*next)(ScsiCommand& command));
  void Flush(ScsiCommand& command, void (*next)(ScsiCommand& command));
  // Moves command.blocks from command.lba on, checked against the size and the guest's buffer.
  void ReadBlocks(ScsiCommand& command);
  bool InRange(uint64_t lba, uint64_t blocks) const {
    return lba <= total_blocks() && blocks <= total_blocks() - lba;
  }
  uint64_t total_blocks() const { return disk_->size_bytes() / block_bytes_; }
  uint32_t block_bytes() const { return block_bytes_; }
  std::vector<uint8_t> GatherOut(const ScsiCommand& command, size_t at_most) const;
  static void Done(ScsiCommand& command) { command.unit->Good(command, command.moved); }

  ScsiCounters counters_;
  bool write_cache_ = true;
  scsi::Sense last_sense_;  // kAtapi

 private:
  void Inquiry(ScsiCommand& command);
  void InquiryVpd(ScsiCommand& command);
  void RequestSense(ScsiCommand& command);
  void ModeSense(ScsiCommand& command, bool ten);
  void ModeSelectCommand(ScsiCommand& command, bool ten);
  static void OnDisk(DiskRequest* request, DiskResult result);

  const std::shared_ptr<DiskFront> disk_;
  const ScsiIdentity identity_;
  const uint32_t block_bytes_;
  std::deque<scsi::Sense> attention_;
};

}  // namespace nandu
