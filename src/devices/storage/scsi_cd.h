// A CD-ROM drive: MMC-5 as Linux, Windows, SeaBIOS and OVMF use it; over SCSI (scsi-cd) and as ATAPI (ide-cd).
//
// Its loop, like every unit; what says control loop is the host's hand at the tray.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/unique_function.h"
#include "devices/storage/scsi_unit.h"

namespace nandu {

struct ScsiCdConfig {
  bool atapi = false;
  ScsiIdentity identity;
  // The tray went out or in, by the guest's hand or the host's; the I/O loop. May be null.
  UniqueFunction<void(bool open)> on_tray;
};

class ScsiCd final : public ScsiUnit {
 public:
  static constexpr uint32_t kBlockBytes = 2048;

  ScsiCd(std::shared_ptr<DiskFront> disk, ScsiCdConfig config);
  void Reset() override;
  ScsiUnitState Save() const override;
  Result<> Load(const ScsiUnitState& state) override;

  bool tray_open() const { return tray_open_.load(std::memory_order_relaxed); }  // any thread
  bool locked() const { return locked_.load(std::memory_order_relaxed); }        // any thread
  // The host's hand, on the loop. A locked tray stays in, and the guest is asked to let it out, unless forced.
  // False: it is locked.
  bool OpenTray(bool force);
  void CloseTray();

 private:
  Dialect dialect() const override { return config_.atapi ? Dialect::kAtapi : Dialect::kScsi; }
  uint8_t device_type() const override { return 5; }
  bool removable() const override { return true; }
  void Dispatch(ScsiCommand& command) override;
  std::vector<uint8_t> VpdPages() const override { return {}; }
  bool VpdPage(uint8_t /*page*/, std::vector<uint8_t>* /*body*/) override { return false; }
  std::vector<uint8_t> ModePages() const override;
  bool ModePage(uint8_t page, bool changeable, std::vector<uint8_t>* out) override;
  bool ModeSelect(uint8_t /*page*/, std::span<const uint8_t> /*body*/) override { return true; }
  uint8_t medium_type() const override { return config_.atapi ? 0x70 : 0; }

  bool ready() { return !tray_open() && disk().has_medium(); }
  bool is_dvd() const;
  void MoveTray(bool open);
  void StartStop(ScsiCommand& command);
  void ReadCapacity(ScsiCommand& command);
  void ReadToc(ScsiCommand& command);
  void GetConfiguration(ScsiCommand& command);
  void GetEventStatus(ScsiCommand& command);
  void ReadDiscInformation(ScsiCommand& command);
  void ReadDvdStructure(ScsiCommand& command);
  void ReadCd(ScsiCommand& command);
  void MechanismStatus(ScsiCommand& command);
  void Read(ScsiCommand& command);
  static void FrameCd(ScsiCommand& command);

  const ScsiCdConfig config_;
  std::atomic<bool> tray_open_{false};
  std::atomic<bool> locked_{false};
  bool new_medium_ = false;
  bool eject_request_ = false;
};

}  // namespace nandu
