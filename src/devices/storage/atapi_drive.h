// A CD-ROM drive behind ATA's PACKET command. ATA8-ACS, 7.22; MMC-5 inside (scsi_cd). ide-cd. The port's I/O loop.
#pragma once

#include <memory>

#include "devices/storage/ata_disk.h"
#include "devices/storage/ata_drive.h"
#include "devices/storage/scsi_cd.h"

namespace nandu {

class AtapiDrive final : public AtaDrive {
 public:
  AtapiDrive(std::shared_ptr<ScsiCd> cd, AtaIdentity identity);

  uint32_t signature() const override { return 0xeb140101; }
  uint8_t reset_status() const override { return 0x70; }
  DiskFront& disk() override { return cd_->disk(); }
  void Execute(AtaCommand* command) override;
  void Reset() override;
  AtaDriveState Save() const override;
  Result<> Load(const AtaDriveState& state) override;

 private:
  void Identify(AtaCommand& command);
  void Packet(AtaCommand& command);
  static void OnPacket(ScsiCommand* packet);
  void Answer(AtaCommand& command, uint8_t status, uint8_t error);

  const std::shared_ptr<ScsiCd> cd_;
  const AtaIdentity identity_;
  AtaDriveState state_;
};

}  // namespace nandu
