#include "devices/legacy/ide_drive.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/storage/ata_disk.h"
#include "devices/storage/atapi_drive.h"
#include "state/state.h"

namespace nandu {
namespace {

constexpr size_t kMaxSerial = 20;  // ATA8-ACS, 7.16.7
constexpr size_t kMaxModel = 40;
constexpr size_t kMaxVersion = 8;

Result<IdeBus*> FindBus(DeviceHost& host, const IdeDriveOptions& options) {
  if (options.bus) {
    if (auto* const bus = dynamic_cast<IdeBus*>(host.FindBus(IdeBus::kKind, *options.bus))) {
      return bus;
    }
    return Fail(Errc::kNotFound, "there is no IDE bus '{}'; a q35 board has ide.0 to ide.5", *options.bus);
  }
  // As QEMU: the first that has room.
  for (unsigned port = 0; port < AhciState::kPorts; ++port) {
    auto* const bus = dynamic_cast<IdeBus*>(host.FindBus(IdeBus::kKind, Format("ide.{}", port)));
    if (bus != nullptr && !bus->controller().connected(port)) {
      return bus;
    }
  }
  return Fail(Errc::kNotFound,
              "no IDE bus has room for another drive; use virtio-scsi-pci with scsi-hd or scsi-cd");
}

AtaIdentity IdentityOf(const IdeDriveOptions& options, const IdeBus& bus, std::string_view model) {
  AtaIdentity identity;
  // As QEMU counts: each bus has numbers for two drives.
  identity.serial = options.serial.value_or(Format("QM{:05}", 2 * bus.port() + 1));
  identity.model = options.model.value_or(std::string(model));
  identity.version = options.ver.value_or("2.5+");
  identity.wwn = options.wwn.value_or(0);
  return identity;
}

Result<std::unique_ptr<Device>> BuildDisk(DeviceHost& host, const std::string& id,
                                          const IdeDiskOptions& options) {
  IdeDrive::Parts parts;
  parts.id = id;
  parts.driver = "ide-hd";
  parts.bus = TRY(FindBus(host, options));
  EventLoop* const loop = TRY(host.FindIoLoop({}));
  const OpenedDisk opened = TRY(OpenDisk(host, *loop, options, id, DiskKind::kDisk));
  if (opened.logical_block_size != ata::kSectorBytes) {
    DiskFront::Close(opened.front);
    return Fail(Errc::kInvalidArgument,
                "logical_block_size={}: an IDE disk has sectors of 512 bytes; use scsi-hd",
                opened.logical_block_size);
  }
  AtaDiskConfig config;
  config.identity = IdentityOf(options, *parts.bus, "QEMU HARDDISK");
  config.physical_block_size = opened.physical_block_size;
  config.rotation_rate = options.rotation_rate;
  config.write_cache = opened.write_cache;
  config.discard = options.discard_granularity.value_or(ata::kSectorBytes) != 0;
  parts.disk = opened;
  parts.drive = std::make_shared<AtaDisk>(opened.front, std::move(config));
  parts.bootindex = options.bootindex;
  return IdeDrive::Create(std::move(parts));
}

Result<std::unique_ptr<Device>> BuildCd(DeviceHost& host, const std::string& id,
                                        const IdeDriveOptions& options) {
  IdeDrive::Parts parts;
  parts.id = id;
  parts.driver = "ide-cd";
  parts.bus = TRY(FindBus(host, options));
  EventLoop* const loop = TRY(host.FindIoLoop({}));
  const OpenedDisk opened = TRY(OpenDisk(host, *loop, options, id, DiskKind::kCdrom));
  const AtaIdentity identity = IdentityOf(options, *parts.bus, "QEMU DVD-ROM");
  ScsiCdConfig config;
  config.atapi = true;
  config.identity.product = "QEMU DVD-ROM";
  config.identity.version = identity.version;
  config.identity.device_id = (identity.serial + std::string(kMaxSerial, ' ')).substr(0, kMaxSerial);
  config.on_tray = [&host, id, drive = opened.drive](bool open) { host.TrayMoved(drive, id, open); };
  auto cd = std::make_shared<ScsiCd>(opened.front, std::move(config));
  parts.disk = opened;
  parts.drive = std::make_shared<AtapiDrive>(cd, identity);
  parts.cd = std::make_unique<CdDrive>(host, opened.drive, cd);
  parts.bootindex = options.bootindex;
  return IdeDrive::Create(std::move(parts));
}

}  // namespace

Result<std::unique_ptr<Device>> IdeDrive::Create(Parts parts) {
  const std::shared_ptr<DiskFront> disk = parts.disk.front;
  std::unique_ptr<IdeDrive> made(new IdeDrive(std::move(parts)));
  made->port_ = TRY(made->parts_.bus->controller().Connect(made->port(), disk->loop(), made->parts_.drive));
  return std::unique_ptr<Device>(std::move(made));
}

IdeDrive::~IdeDrive() {
  if (port_ != nullptr) {
    parts_.bus->controller().Disconnect(port());
  }
  DiskFront::Close(std::move(parts_.disk.front));
}

std::optional<Device::BootChoice> IdeDrive::boot_choice() const {
  if (!parts_.bootindex) {
    return std::nullopt;
  }
  return BootChoice{*parts_.bootindex, Format("/drive@{:x}/disk@0", port()), parts_.bus->controller().pci()};
}

void IdeDrive::Reset() {
  port_->loop().Post([port = port_] { port->ResetDrive(); });
}

void IdeDrive::Save(const StateWriter& writer) const { writer.Put(parts_.drive->Save()); }

Result<> IdeDrive::Load(const StateReader& reader) {
  const AtaDriveState state = TRY(reader.Get<AtaDriveState>());
  return parts_.drive->Load(state);
}

Result<> Validate(const IdeDriveOptions& options) {
  TRY(Validate(static_cast<const DiskOptions&>(options)));
  if (options.unit != 0) {
    return Fail(Errc::kInvalidArgument, "unit={}: a SATA port has one drive; choose a port with bus=ide.N",
                options.unit);
  }
  for (const auto& [text, most, name] : {std::tuple(options.serial.value_or(""), kMaxSerial, "serial"),
                                         std::tuple(options.model.value_or(""), kMaxModel, "model"),
                                         std::tuple(options.ver.value_or(""), kMaxVersion, "ver")}) {
    if (text.size() > most) {
      return Fail(Errc::kInvalidArgument, "{}={} is too long; it has at most {} bytes", name, text, most);
    }
  }
  return {};
}

const DeviceFactory& IdeHdFactory() {
  static const DeviceFactory kFactory = {
      .driver = "ide-hd",
      .aliases = {},
      .description = "a disk on a SATA port of the board",
      .bus = "IDE",
      .options = [] { return &TypeOf<IdeDiskOptions>(); },
      .create = [](DeviceHost& host, const std::string& id,
                   const boost::json::object& options) -> Result<std::unique_ptr<Device>> {
        const IdeDiskOptions parsed = TRY(
            FromJson<IdeDiskOptions>(options, {.path = "ide-hd", .field_word = "property", .lenient = true}));
        return Prefix(BuildDisk(host, id, parsed), id);
      },
  };
  return kFactory;
}

const DeviceFactory& IdeCdFactory() {
  static const DeviceFactory kFactory = {
      .driver = "ide-cd",
      .aliases = {},
      .description = "a CD-ROM drive on a SATA port of the board",
      .bus = "IDE",
      .options = [] { return &TypeOf<IdeDriveOptions>(); },
      .create = [](DeviceHost& host, const std::string& id,
                   const boost::json::object& options) -> Result<std::unique_ptr<Device>> {
        const IdeDriveOptions parsed = TRY(FromJson<IdeDriveOptions>(
            options, {.path = "ide-cd", .field_word = "property", .lenient = true}));
        return Prefix(BuildCd(host, id, parsed), id);
      },
  };
  return kFactory;
}

}  // namespace nandu
