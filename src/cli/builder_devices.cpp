// -device, -drive, -blockdev, -netdev, -nic and -net.

#include <algorithm>

#include "cli/builder.h"
#include "cli/help.h"
#include "cli/property_list.h"
#include "machine/device_catalog.h"

namespace nandu {
namespace {

// Takes a string property out of a bag; empty when it is not there.
Result<std::string> TakeString(boost::json::object* bag, std::string_view key) {
  const boost::json::value* value = bag->if_contains(key);
  if (value == nullptr) {
    return std::string();
  }
  if (!value->is_string()) {
    return Fail(Errc::kInvalidArgument, "{}: expected a string", key);
  }
  std::string text(value->as_string());
  bag->erase(key);
  return text;
}

// The properties -drive has for its disk rather than for its image.
constexpr std::string_view kDiskProperties[] = {"serial", "werror", "rerror"};

}  // namespace

Result<> Builder::Device(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(DeviceHelpText());
  }
  if (const auto driver = AsksForProperties(text)) {
    return Answer(TRY(DeviceOptionsHelpText(*driver)));
  }
  DeviceConfig device;
  device.options.source = Format("-device {}", text);
  device.options.values = TRY(ParseOptionBag(text, "driver", Nesting::kFlat));
  device.driver = TRY(TakeString(&device.options.values, "driver"));
  device.id = TRY(TakeString(&device.options.values, "id"));
  if (device.driver.empty()) {
    return Fail(Errc::kInvalidArgument, "a device needs its driver: -device DRIVER[,prop=value...]");
  }
  TRY(FindDeviceFactory(device.driver));  // what nobody has is said before anything is opened
  (text.starts_with('{') ? json_devices_ : devices_).push_back(std::move(device));
  return {};
}

Result<> Builder::Drive(std::string_view text) {
  boost::json::object bag = TRY(ParseOptionBag(text, {}, Nesting::kFlat));
  const std::string interface = TRY(TakeString(&bag, "if"));
  if (interface == "pflash") {
    return FlashDrive(text, std::move(bag));
  }
  if (interface != "virtio" && interface != "none") {
    return Fail(Errc::kUnsupported,
                "if={}: there is no such controller yet; use if=virtio, or if=none with a -device",
                interface.empty() ? "ide (the default)" : interface);
  }
  const std::string media = TRY(TakeString(&bag, "media"));
  if (!media.empty() && media != "disk") {
    return Fail(Errc::kUnsupported,
                "media={}: there is no CD-ROM drive yet; attach the image read-only as a disk", media);
  }
  for (const std::string_view place : {"index", "bus", "unit"}) {
    const std::string at = TRY(TakeString(&bag, place));
    if (!at.empty() && place != "index") {
      return Fail(Errc::kUnsupported, "{}=: virtio disks have no buses and units", place);
    }
  }
  unsigned& count = drive_count_[interface == "virtio" ? 0 : 1];
  DriveConfig drive;
  drive.id = TRY(TakeString(&bag, "id"));
  if (drive.id.empty()) {
    drive.id = Format("{}{}", interface, count);
  }
  ++count;
  DeviceConfig disk;
  disk.driver = "virtio-blk-pci";
  disk.options.source = Format("-drive {}", text);
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
  drive.options = {std::move(bag), disk.options.source};
  config_.drives.push_back(std::move(drive));
  if (interface == "virtio") {
    drive_devices_.push_back(std::move(disk));
  } else {
    drive_policies_.push_back(std::move(disk.options.values));
  }
  return {};
}

Result<> Builder::Blockdev(std::string_view text) {
  boost::json::object bag = TRY(ParseOptionBag(text, "driver", Nesting::kDotted));
  config_.blockdevs.push_back({std::move(bag), Format("-blockdev {}", text)});
  return {};
}

Result<> Builder::Netdev(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(NetdevHelpText());
  }
  boost::json::object bag = TRY(ParseOptionBag(text, "type", Nesting::kFlat));
  config_.netdevs.push_back({std::move(bag), Format("-netdev {}", text)});
  return {};
}

Result<> Builder::Nic(std::string_view text) {
  default_nic_ = false;
  if (text == "none") {
    return {};
  }
  boost::json::object bag = TRY(ParseOptionBag(text, "type", Nesting::kFlat));
  DeviceConfig nic;
  nic.options.source = Format("-nic {}", text);
  std::string model = TRY(TakeString(&bag, "model"));
  if (IsHelp(model)) {
    return Answer("Supported NIC models:\nvirtio-net-pci\n");
  }
  if (model.empty()) {
    return Fail(Errc::kUnsupported, "the default card e1000e is not there yet; add model=virtio-net-pci");
  }
  nic.driver = model == "virtio" ? "virtio-net-pci" : model;
  const std::string mac = TRY(TakeString(&bag, "mac"));
  if (!mac.empty()) {
    nic.options.values["mac"] = mac;
  }
  std::string id = TRY(TakeString(&bag, "id"));
  if (id.empty()) {
    id = Format("#net{}", nic_count_);
  }
  ++nic_count_;
  bag["id"] = id;
  nic.options.values["netdev"] = id;
  config_.netdevs.push_back({std::move(bag), nic.options.source});
  nics_.push_back(std::move(nic));
  return {};
}

Result<> Builder::Net(std::string_view text) {
  if (text != "none") {
    return Fail(Errc::kUnsupported,
                "QEMU's hub of -net options is not served; use -nic, or -netdev with -device");
  }
  default_nic_ = false;
  return {};
}

void Builder::FinishDevices() {
  const bool has_nic = !nics_.empty() || std::ranges::any_of(devices_, [](const DeviceConfig& device) {
    return device.driver.starts_with("virtio-net");
  });
  if (!nodefaults_) {
    std::string left_out =
        default_nic_ && !has_nic && config_.netdevs.empty() ? "network card (e1000e), " : "";
    left_out += "VGA, CD-ROM, floppy and parallel port";
    out_.notes.push_back(Format(
        "default devices left out because nandu does not have them yet: {} (-nodefaults takes them away)",
        left_out));
  }
  // As QEMU: rerror= and werror= of a -drive are for the disk that uses it, unless that has its own.
  for (auto* list : {&devices_, &json_devices_}) {
    for (DeviceConfig& device : *list) {
      for (const boost::json::object& policy : drive_policies_) {
        const boost::json::value* const drive = device.options.values.if_contains("drive");
        if (drive != nullptr && *drive == policy.at("drive")) {
          device.options.values.insert(policy.begin(), policy.end());  // what is there stays
        }
      }
    }
  }
  for (auto* list : {&nics_, &devices_, &drive_devices_, &json_devices_}) {
    std::ranges::move(*list, std::back_inserter(config_.devices));
  }
}

}  // namespace nandu
