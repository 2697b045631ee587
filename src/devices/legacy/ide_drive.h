// ide-hd and ide-cd: drives on a port of the AHCI function, their options as QEMU 7.2 names them, and their
// rows for the device catalog. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/legacy/ich9_ahci.h"
#include "devices/storage/cd_drive.h"
#include "devices/storage/disk_options.h"

namespace nandu {

struct IdeDriveOptions : DiskOptions {
  std::optional<std::string> model;
  uint32_t unit = 0;
};
BOOST_DESCRIBE_STRUCT(IdeDriveOptions, (DiskOptions), (model, unit))
inline std::span<const WireName> WireNames(const IdeDriveOptions*) {
  static constexpr WireName kNames[] = {NANDU_DISK_WIRE_NAMES};
  return kNames;
}
Result<> Validate(const IdeDriveOptions& options);

struct IdeDiskOptions : IdeDriveOptions {
  uint16_t rotation_rate = 0;
};
BOOST_DESCRIBE_STRUCT(IdeDiskOptions, (IdeDriveOptions), (rotation_rate))
inline std::span<const WireName> WireNames(const IdeDiskOptions*) {
  static constexpr WireName kNames[] = {NANDU_DISK_WIRE_NAMES, {"rotation_rate", "rotation_rate"}};
  return kNames;
}

class IdeDrive final : public Device, public HasCdDrive {
 public:
  struct Parts {
    std::string id;
    std::string_view driver;
    IdeBus* bus = nullptr;
    OpenedDisk disk;
    std::shared_ptr<AtaDrive> drive;
    std::unique_ptr<CdDrive> cd;  // null: a disk
    std::optional<int32_t> bootindex;
  };
  static Result<std::unique_ptr<Device>> Create(Parts parts);
  ~IdeDrive() override;

  const std::string& id() const override { return parts_.id; }
  std::string_view driver() const override { return parts_.driver; }
  std::string StatePath() const override {
    return parts_.bus->controller().DriveStatePath(parts_.bus->port());
  }
  std::optional<BootChoice> boot_choice() const override;
  std::optional<DiskFacts> disk() const override { return FactsOf(parts_.disk, parts_.cd.get()); }
  unsigned port() const { return parts_.bus->port(); }
  CdDrive* cd_drive() override { return parts_.cd.get(); }

  // The controller, which is quiesced with it, carries its commands.
  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  explicit IdeDrive(Parts parts) : parts_(std::move(parts)) {}

  Parts parts_;
  std::shared_ptr<AhciPort> port_;
};

const DeviceFactory& IdeHdFactory();
const DeviceFactory& IdeCdFactory();

}  // namespace nandu
