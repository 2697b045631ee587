// An ATA disk: ATA8-ACS as Linux, Windows, SeaBIOS and OVMF use it. ide-hd. The port's I/O loop.
#pragma once

#include <memory>

#include "base/counter.h"
#include "devices/storage/ata_drive.h"
#include "devices/storage/ata_wire.h"

namespace nandu {

struct AtaDiskConfig {
  AtaIdentity identity;
  uint32_t physical_block_size = 512;
  uint16_t rotation_rate = 0;
  bool write_cache = true;
  bool discard = true;
};

struct AtaCounters {
  Counter commands, unknown, bad_ranges, short_buffers;
};

class AtaDisk final : public AtaDrive {
 public:
  AtaDisk(std::shared_ptr<DiskFront> disk, AtaDiskConfig config);

  uint32_t signature() const override { return 0x00000101; }
  uint8_t reset_status() const override { return 0x30; }
  DiskFront& disk() override { return *disk_; }
  void Execute(AtaCommand* command) override;
  void Reset() override;
  AtaDriveState Save() const override { return state_; }
  Result<> Load(const AtaDriveState& state) override;
  const AtaCounters& counters() const { return counters_; }

 private:
  void Good(AtaCommand& command, uint64_t moved = 0);
  void Abort(AtaCommand& command, uint8_t error = ata::kErrorAborted);
  void ReplyPio(AtaCommand& command, std::span<const uint8_t> bytes);
  // What a read or write does: which way, by which protocol, with which width of its registers.
  struct Access {
    bool write = false;
    bool ext = false;
    bool fua = false;
    AtaProtocol protocol = AtaProtocol::kDma;
  };
  void Move(AtaCommand& command, const Access& access);
  static void NextPiece(AtaCommand& command);
  void Transfer(AtaCommand& command, void (*next)(AtaCommand& command));
  static void OnDisk(DiskRequest* request, DiskResult result);
  void Flush(AtaCommand& command);
  void Trim(AtaCommand& command);
  static void NextTrim(AtaCommand& command);
  void Identify(AtaCommand& command);
  void SetFeatures(AtaCommand& command);
  void Smart(AtaCommand& command);
  void ReadLog(AtaCommand& command);
  void NativeMax(AtaCommand& command, bool ext);
  uint64_t sectors() const { return disk_->size_bytes() / ata::kSectorBytes; }
  // Where the registers point: LBA, or cylinder, head and sector.
  bool FirstSector(const AtaCommand& command, bool ext, uint64_t* sector) const;

  const std::shared_ptr<DiskFront> disk_;
  const AtaDiskConfig config_;
  AtaCounters counters_;
  AtaDriveState state_;
};

}  // namespace nandu
