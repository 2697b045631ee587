// A SCSI disk: SBC-3 as Linux and Windows use it, with thin provisioning. scsi-hd.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/storage/scsi_unit.h"

namespace nandu {

struct ScsiDiskConfig {
  ScsiIdentity identity;
  uint32_t logical_block_size = 512;  // bytes, powers of two
  uint32_t physical_block_size = 512;
  uint32_t min_io_bytes = 0;
  uint32_t opt_io_bytes = 0;
  uint32_t discard_granularity_bytes = 4096;
  uint64_t max_unmap_bytes = uint64_t{1} << 30;
  uint64_t max_io_bytes = 2147483647;
  uint16_t rotation_rate = 0;
  bool write_cache = true;
  bool removable = false;
};

class ScsiDisk final : public ScsiUnit {
 public:
  ScsiDisk(std::shared_ptr<DiskFront> disk, ScsiDiskConfig config);
  void Reset() override;

 private:
  uint8_t device_type() const override { return 0; }
  bool removable() const override { return config_.removable; }
  void Dispatch(ScsiCommand& command) override;
  std::vector<uint8_t> VpdPages() const override { return {0xb0, 0xb1, 0xb2}; }
  bool VpdPage(uint8_t page, std::vector<uint8_t>* body) override;
  std::vector<uint8_t> ModePages() const override { return {0x01, 0x04, 0x05, 0x08}; }
  bool ModePage(uint8_t page, bool changeable, std::vector<uint8_t>* out) override;
  bool ModeSelect(uint8_t page, std::span<const uint8_t> body) override;
  bool has_block_descriptor() const override { return true; }
  uint8_t mode_parameter() const override { return disk_read_only() ? scsi::kReadOnlyFlag : 0; }
  bool disk_read_only() const { return shared_read_only_.read_only(); }

  bool TakeRange(ScsiCommand& command);  // command.lba and blocks from the CDB; false: answered
  void Write(ScsiCommand& command);
  void Verify(ScsiCommand& command);
  void WriteSame(ScsiCommand& command);
  static void NextSame(ScsiCommand& command);
  void Unmap(ScsiCommand& command);
  static void NextUnmap(ScsiCommand& command);
  void ReadCapacity(ScsiCommand& command, bool sixteen);
  bool MayWrite(ScsiCommand& command);

  const ScsiDiskConfig config_;
  const DiskFront& shared_read_only_;
};

}  // namespace nandu
