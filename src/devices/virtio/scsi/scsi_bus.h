// A virtio-scsi controller as a bus, and the disks and drives on it. Control thread, but for what Device
// says.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nandu/device.h>

#include "devices/storage/cd_drive.h"
#include "devices/storage/disk_options.h"
#include "devices/virtio/scsi/scsi_device.h"

namespace nandu {

// The bus others find, and the PCI device it is the back of.
class ScsiBusDevice final : public Device, public DeviceBus {
 public:
  static constexpr std::string_view kKind = "SCSI";
  ScsiBusDevice(DeviceHost& host, std::string bus_id, std::unique_ptr<Device> pci_device,
                std::shared_ptr<ScsiHost> scsi, ScsiDevice& device);
  ~ScsiBusDevice() override;

  ScsiHost& scsi() { return *scsi_; }
  const std::shared_ptr<ScsiHost>& shared_scsi() const { return scsi_; }
  // The place asked for, or the first that is free.
  Result<ScsiPlace> Choose(std::optional<uint32_t> target, std::optional<uint32_t> lun) const;
  void Put(ScsiPlace place, std::shared_ptr<ScsiUnit> unit);
  void Remove(ScsiPlace place);

  std::string_view kind() const override { return kKind; }
  const std::string& bus_id() const override { return bus_id_; }

  const std::string& id() const override { return device_->id(); }
  std::string_view driver() const override { return device_->driver(); }
  std::string StatePath() const override { return device_->StatePath(); }
  PciFunction* pci() override { return device_->pci(); }
  void Reset() override { device_->Reset(); }
  void Quiesce(UniqueFunction<void()> done) override { device_->Quiesce(std::move(done)); }
  std::vector<std::string> StuckRequests() const override;
  void Resume() override { device_->Resume(); }
  void Save(const StateWriter& writer) const override { device_->Save(writer); }
  Result<> Load(const StateReader& reader) override { return device_->Load(reader); }

 private:
  DeviceHost& host_;
  const std::string bus_id_;
  const std::unique_ptr<Device> device_;
  const std::shared_ptr<ScsiHost> scsi_;
  std::map<ScsiPlace, std::shared_ptr<DiskFront>> places_;  // the control thread's list
};

// scsi-hd or scsi-cd. Its controller carries its commands and is quiesced with it.
class ScsiUnitDevice final : public Device, public HasCdDrive {
 public:
  struct Parts {
    std::string id;
    std::string_view driver;
    ScsiBusDevice* bus = nullptr;
    ScsiPlace place;
    std::shared_ptr<ScsiUnit> unit;
    OpenedDisk disk;
    std::unique_ptr<CdDrive> cd;  // null: a disk
    std::optional<int32_t> bootindex;
  };
  explicit ScsiUnitDevice(Parts parts);
  ~ScsiUnitDevice() override;

  std::optional<BootChoice> boot_choice() const override;
  std::optional<DiskFacts> disk() const override { return FactsOf(parts_.disk, parts_.cd.get()); }
  ScsiPlace place() const { return parts_.place; }
  ScsiBusDevice& bus_device() { return *parts_.bus; }
  CdDrive* cd_drive() override { return parts_.cd.get(); }

  const std::string& id() const override { return parts_.id; }
  std::string_view driver() const override { return parts_.driver; }
  std::string StatePath() const override {
    return Format("{}/scsi/{}.{}", parts_.bus->StatePath(), parts_.place.target, parts_.place.lun);
  }
  void Reset() override {}  // with its controller
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  Parts parts_;
};

}  // namespace nandu
