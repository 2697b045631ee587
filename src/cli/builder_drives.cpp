// -drive and its short forms: an image, and the disk or CD-ROM drive it lies in.

#include <algorithm>

#include "cli/builder.h"
#include "cli/numbers.h"

namespace nandu {
namespace {

constexpr unsigned kIdePorts = 6;
constexpr unsigned kCdromPort = 2;  // where QEMU's boards have their CD-ROM drive

// The properties -drive has for its disk rather than for its image.
constexpr std::string_view kDiskProperties[] = {"serial", "werror", "rerror"};

}  // namespace

Result<> Builder::Drive(std::string_view text) {
  return AddDrive(TRY(ParseOptionBag(text, {}, Nesting::kFlat)), Format("-drive {}", text));
}

Result<> Builder::ShortDrive(std::string_view file, unsigned port, bool cdrom) {
  boost::json::object bag;
  bag["file"] = file;
  bag["index"] = std::to_string(port);
  if (cdrom) {
    bag["media"] = "cdrom";
  }
  return AddDrive(
      std::move(bag),
      Format("-{} {}", cdrom ? "cdrom" : std::string("hd") + static_cast<char>('a' + port), file));
}

// index= alone, or bus= and unit=: a SATA port has one unit, so that both name the port.
Result<unsigned> Builder::TakePort(boost::json::object* bag) {
  const std::string index = TRY(TakeString(bag, "index"));
  const std::string bus = TRY(TakeString(bag, "bus"));
  const std::string unit = TRY(TakeString(bag, "unit"));
  if (!index.empty() && (!bus.empty() || !unit.empty())) {
    return Fail(Errc::kInvalidArgument, "index= and bus=,unit= say the same thing; give one of them");
  }
  if (!unit.empty() && unit != "0") {
    return Fail(Errc::kInvalidArgument,
                "unit={}: a SATA port has one drive; choose a port with index= or bus=", unit);
  }
  const std::string& given = index.empty() ? bus : index;
  if (!given.empty()) {
    const unsigned port = TRY(Prefix(NumberFrom(given, 0, kIdePorts - 1), index.empty() ? "bus" : "index"));
    if (ide_ports_.contains(port)) {
      return Fail(Errc::kExists, "SATA port {} has a drive already; choose another with index=", port);
    }
    return port;
  }
  for (unsigned port = 0; port < kIdePorts; ++port) {
    if (!ide_ports_.contains(port)) {
      return port;
    }
  }
  return Fail(Errc::kInvalidArgument, "all {} SATA ports have drives; use if=virtio", kIdePorts);
}

Result<> Builder::AddDrive(boost::json::object bag, const std::string& source) {
  std::string interface = TRY(TakeString(&bag, "if"));
  if (interface == "pflash") {
    return FlashDrive(source, std::move(bag));
  }
  interface = interface.empty() ? "ide" : interface;
  if (interface != "virtio" && interface != "none" && interface != "ide") {
    return Fail(Errc::kUnsupported,
                "if={}: a q35 board has no such controller of its own; use if=ide, if=virtio, or if=none "
                "with a -device",
                interface);
  }
  const std::string media = TRY(TakeString(&bag, "media"));
  const bool cdrom = media == "cdrom";
  if (!media.empty() && media != "disk" && !cdrom) {
    return Fail(Errc::kInvalidArgument, "media={} is unknown; give disk or cdrom", media);
  }
  DeviceConfig disk;
  disk.options.source = source;
  DriveConfig drive;
  drive.id = TRY(TakeString(&bag, "id"));
  std::string made_up;
  if (interface == "ide") {
    const unsigned port = TRY(TakePort(&bag));
    ide_ports_.insert(port);
    made_up = Format("ide{}-{}0", port, cdrom ? "cd" : "hd");
    disk.driver = cdrom ? "ide-cd" : "ide-hd";
    disk.options.values["bus"] = Format("ide.{}", port);
  } else {
    for (const std::string_view place : {"index", "bus", "unit"}) {
      const std::string at = TRY(TakeString(&bag, place));
      if (!at.empty() && place != "index") {
        return Fail(Errc::kUnsupported, "{}=: virtio disks have no buses and units", place);
      }
    }
    made_up = Format("{}{}", interface, drive_count_[interface == "virtio" ? 0 : 1]++);
    disk.driver = "virtio-blk-pci";
  }
  drive.id = drive.id.empty() ? made_up : drive.id;
  disk.options.values["drive"] = drive.id;
  for (const std::string_view property : kDiskProperties) {
    if (const boost::json::value* value = bag.if_contains(property)) {
      if (interface == "none" && property == "serial") {
        return Fail(Errc::kInvalidArgument, "{}= belongs to the disk: give it to its -device", property);
      }
      disk.options.values[property] = *value;
      bag.erase(property);
    }
  }
  const boost::json::value* const file = bag.if_contains("file");
  drive.empty = (file == nullptr || *file == "") && (cdrom || interface == "none");
  if (drive.empty) {
    bag.erase("file");
  }
  if (cdrom && !bag.contains("readonly")) {
    bag["read-only"] = "on";
  }
  drive.options = {std::move(bag), source};
  config_.drives.push_back(std::move(drive));
  if (interface == "none") {
    drive_policies_.push_back(std::move(disk.options.values));
  } else {
    drive_devices_.push_back(std::move(disk));
  }
  return {};
}

// As QEMU's boards: a drive without a medium, unless the command line has drives of its own there.
void Builder::DefaultCdrom() {
  if (nodefaults_ || !config_.sata || ide_ports_.contains(kCdromPort)) {
    return;
  }
  static constexpr std::string_view kOwn[] = {"ide-cd", "ide-hd", "scsi-cd", "scsi-hd"};
  for (const auto* list : {&devices_, &json_devices_}) {
    if (std::ranges::any_of(*list, [](const DeviceConfig& device) {
          return std::ranges::find(kOwn, device.driver) != std::end(kOwn);
        })) {
      return;
    }
  }
  ide_ports_.insert(kCdromPort);
  DriveConfig drive;
  drive.id = Format("ide{}-cd0", kCdromPort);
  drive.empty = true;
  DeviceConfig device;
  device.driver = "ide-cd";
  device.options.source = "the default CD-ROM drive";
  device.options.values["bus"] = Format("ide.{}", kCdromPort);
  device.options.values["drive"] = drive.id;
  config_.drives.push_back(std::move(drive));
  drive_devices_.push_back(std::move(device));
}

}  // namespace nandu
