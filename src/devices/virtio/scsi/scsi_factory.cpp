#include "devices/virtio/scsi/scsi_factory.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/checked.h"
#include "devices/storage/scsi_cd.h"
#include "devices/storage/scsi_disk.h"
#include "devices/virtio/scsi/scsi_bus.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {
namespace {

constexpr uint16_t kMaxRequestQueues = 1024 - vscsi::kFirstRequestQueue;
constexpr uint16_t kMaxQueueSize = 1024;  // what a request may have segments
constexpr uint32_t kDefaultGranularity = 4096;

constexpr VirtioPciNames kNames = {
    {"virtio-scsi-pci", "virtio-scsi-pci-transitional", "virtio-scsi-pci-non-transitional"},
    "virtio-scsi",
    "a SCSI controller for scsi-hd and scsi-cd"};

Result<std::unique_ptr<Device>> CreateController(DeviceHost& host, const std::string& id,
                                                 const VirtioScsiOptions& parsed, std::string_view driver) {
  EventLoop* const loop = TRY(host.FindIoLoop(parsed.iothread.value_or("")));
  ScsiHostConfig config;
  config.request_queues = parsed.num_queues.value_or(
      static_cast<uint16_t>(std::min<unsigned>(host.vcpu_count(), kMaxRequestQueues)));
  config.queue_size = parsed.virtqueue_size;
  config.seg_max = parsed.seg_max_adjust ? parsed.virtqueue_size - 2U : 126;
  config.max_sectors = parsed.max_sectors;
  config.cmd_per_lun = parsed.cmd_per_lun;
  config.hotplug = parsed.hotplug;
  config.change = parsed.param_change;
  auto made = std::make_unique<ScsiDevice>(*loop, config);
  ScsiDevice& device = *made;
  const std::shared_ptr<ScsiHost> scsi = made->host();
  VirtioPciSpec spec;
  spec.id = id;
  spec.driver = driver;
  spec.default_vectors = config.request_queues + vscsi::kFirstRequestQueue + 1U;
  std::unique_ptr<Device> pci_device = TRY(VirtioPciDevice::Create(host, spec, parsed, std::move(made)));
  // As QEMU names buses: ID.0, or scsi.N for a device without an id.
  std::string bus_id = id + ".0";
  if (id.empty() || id.front() == '#') {
    unsigned number = 0;
    do {
      bus_id = Format("scsi.{}", number++);
    } while (host.FindBus(ScsiBusDevice::kKind, bus_id) != nullptr);
  }
  return std::make_unique<ScsiBusDevice>(host, std::move(bus_id), std::move(pci_device), scsi, device);
}

Result<ScsiBusDevice*> FindBus(DeviceHost& host, const ScsiDriveOptions& options) {
  auto* const bus =
      dynamic_cast<ScsiBusDevice*>(host.FindBus(ScsiBusDevice::kKind, options.bus.value_or("")));
  if (bus == nullptr && options.bus) {
    return Fail(Errc::kNotFound,
                "there is no SCSI bus '{}'; name it as ID.0 of a -device virtio-scsi-pci before it",
                *options.bus);
  }
  if (bus == nullptr) {
    return Fail(Errc::kNotFound, "there is no SCSI bus; put -device virtio-scsi-pci before it");
  }
  return bus;
}

ScsiIdentity IdentityOf(const ScsiDriveOptions& options, std::string_view product, const std::string& drive) {
  ScsiIdentity identity;
  identity.vendor = options.vendor.value_or("QEMU");
  identity.product = options.product.value_or(std::string(product));
  identity.version = options.ver.value_or("2.5+");
  identity.serial = options.serial.value_or("");
  constexpr size_t kSerialPart = 20;  // as QEMU: a serial number, else -drive's id, as far as they fit
  constexpr size_t kDrivePart = 32;
  identity.device_id = options.device_id ? *options.device_id
                       : options.serial  ? options.serial->substr(0, kSerialPart)
                                         : drive.substr(0, kDrivePart);
  identity.wwn = options.wwn.value_or(0);
  identity.port_wwn = options.port_wwn.value_or(0);
  identity.port_index = options.port_index;
  return identity;
}

Result<std::unique_ptr<Device>> BuildDisk(DeviceHost& host, const std::string& id,
                                          const ScsiDiskOptions& options) {
  ScsiUnitDevice::Parts parts;
  parts.id = id;
  parts.driver = "scsi-hd";
  parts.bus = TRY(FindBus(host, options));
  parts.place = TRY(parts.bus->Choose(options.scsi_id, options.lun));
  parts.bootindex = options.bootindex;
  const std::weak_ptr<ScsiHost> scsi = parts.bus->shared_scsi();
  const OpenedDisk opened =
      TRY(OpenDisk(host, parts.bus->scsi().loop(), options, id, DiskKind::kDisk, [scsi, place = parts.place] {
        if (const std::shared_ptr<ScsiHost> alive = scsi.lock()) {
          alive->CapacityChanged(place);
        }
      }));
  ScsiDiskConfig config;
  config.identity = IdentityOf(options, "QEMU HARDDISK", opened.drive);
  config.logical_block_size = opened.logical_block_size;
  config.physical_block_size = opened.physical_block_size;
  config.min_io_bytes = options.min_io_size;
  config.opt_io_bytes = options.opt_io_size;
  config.discard_granularity_bytes =
      options.discard_granularity.value_or(std::max(opened.logical_block_size, kDefaultGranularity));
  config.max_unmap_bytes = options.max_unmap_size;
  config.max_io_bytes = options.max_io_size;
  config.rotation_rate = options.rotation_rate;
  config.write_cache = opened.write_cache;
  config.removable = options.removable;
  parts.disk = opened;
  parts.unit = std::make_shared<ScsiDisk>(opened.front, std::move(config));
  return std::make_unique<ScsiUnitDevice>(std::move(parts));
}

Result<std::unique_ptr<Device>> BuildCd(DeviceHost& host, const std::string& id,
                                        const ScsiDriveOptions& options) {
  ScsiUnitDevice::Parts parts;
  parts.id = id;
  parts.driver = "scsi-cd";
  parts.bus = TRY(FindBus(host, options));
  parts.place = TRY(parts.bus->Choose(options.scsi_id, options.lun));
  parts.bootindex = options.bootindex;
  const OpenedDisk opened = TRY(OpenDisk(host, parts.bus->scsi().loop(), options, id, DiskKind::kCdrom));
  ScsiCdConfig config;
  config.identity = IdentityOf(options, "QEMU CD-ROM", opened.drive);
  config.on_tray = [&host, id, drive = opened.drive](bool open) { host.TrayMoved(drive, id, open); };
  auto cd = std::make_shared<ScsiCd>(opened.front, std::move(config));
  parts.disk = opened;
  parts.cd = std::make_unique<CdDrive>(host, opened.drive, cd);
  parts.unit = std::move(cd);
  return std::make_unique<ScsiUnitDevice>(std::move(parts));
}

}  // namespace

Result<> Validate(const VirtioScsiOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  if (options.num_queues && (*options.num_queues == 0 || *options.num_queues > kMaxRequestQueues)) {
    return Fail(Errc::kInvalidArgument, "num_queues={} is impossible; give 1 to {}", *options.num_queues,
                kMaxRequestQueues);
  }
  // A request takes a header, a response and data.
  if (!IsPowerOfTwo(options.virtqueue_size) || options.virtqueue_size < 4 ||
      options.virtqueue_size > kMaxQueueSize) {
    return Fail(Errc::kInvalidArgument, "virtqueue_size={} is impossible; give a power of two from 4 to {}",
                options.virtqueue_size, kMaxQueueSize);
  }
  return {};
}

Result<> Validate(const ScsiDriveOptions& options) {
  TRY(Validate(static_cast<const DiskOptions&>(options)));
  if (options.channel != 0) {
    return Fail(Errc::kInvalidArgument, "channel={}: a virtio-scsi controller has channel 0 alone",
                options.channel);
  }
  constexpr size_t kMaxSerial = 36;
  constexpr size_t kMaxDeviceId = 32;
  for (const auto& [text, most, name] :
       {std::tuple(options.serial.value_or(""), kMaxSerial, "serial"),
        std::tuple(options.device_id.value_or(""), kMaxDeviceId, "device_id"),
        std::tuple(options.vendor.value_or(""), size_t{8}, "vendor"),
        std::tuple(options.product.value_or(""), size_t{16}, "product"),
        std::tuple(options.ver.value_or(""), size_t{4}, "ver")}) {
    if (text.size() > most) {
      return Fail(Errc::kInvalidArgument, "{}={} is too long; it has at most {} bytes", name, text, most);
    }
  }
  return {};
}

const DeviceFactory& VirtioScsiPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioScsiOptions, CreateController>(variant);
}

const DeviceFactory& ScsiHdFactory() {
  static const DeviceFactory kFactory = {
      .driver = "scsi-hd",
      .aliases = {},
      .description = "a disk on a SCSI controller",
      .bus = "SCSI",
      .options = [] { return &TypeOf<ScsiDiskOptions>(); },
      .create = [](DeviceHost& host, const std::string& id,
                   const boost::json::object& options) -> Result<std::unique_ptr<Device>> {
        const ScsiDiskOptions parsed = TRY(FromJson<ScsiDiskOptions>(
            options, {.path = "scsi-hd", .field_word = "property", .lenient = true}));
        return Prefix(BuildDisk(host, id, parsed), id);
      },
  };
  return kFactory;
}

const DeviceFactory& ScsiCdFactory() {
  static const DeviceFactory kFactory = {
      .driver = "scsi-cd",
      .aliases = {},
      .description = "a CD-ROM drive on a SCSI controller",
      .bus = "SCSI",
      .options = [] { return &TypeOf<ScsiDriveOptions>(); },
      .create = [](DeviceHost& host, const std::string& id,
                   const boost::json::object& options) -> Result<std::unique_ptr<Device>> {
        const ScsiDriveOptions parsed = TRY(FromJson<ScsiDriveOptions>(
            options, {.path = "scsi-cd", .field_word = "property", .lenient = true}));
        return Prefix(BuildCd(host, id, parsed), id);
      },
  };
  return kFactory;
}

}  // namespace nandu
