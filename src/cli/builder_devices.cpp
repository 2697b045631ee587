// -device, -blockdev, -netdev, -nic and -net. -drive is in builder_drives.cpp.

#include <algorithm>

#include "cli/builder.h"
#include "cli/help.h"
#include "cli/property_list.h"
#include "machine/device_catalog.h"
#include "machine/netdev_help.h"

namespace nandu {
namespace {

// A -netdev or -nic: groups are written with dots (addr.type=inet), and what a type lists (hostfwd=) may be
// given several times.
Result<boost::json::object> NetdevBag(std::string_view text) {
  if (text.starts_with('{')) {
    return ParseOptionBag(text, "type", Nesting::kDotted);
  }
  const std::vector<KeyValue> list = TRY(ParseKeyValues(text, "type"));
  boost::json::object bag = TRY(ParseOptionBag(text, "type", Nesting::kDotted));
  const boost::json::value* const name = bag.if_contains("type");
  const TypeInfo* const type =
      name != nullptr && name->is_string() ? NetdevOptions(name->as_string()) : nullptr;
  for (const KeyValue& item : list) {
    const FieldInfo* const field = type != nullptr ? type->FindField(item.key) : nullptr;
    if (field == nullptr || field->type().kind != TypeKind::kVector) {
      continue;
    }
    boost::json::value& all = bag[item.key];
    if (!all.is_array()) {
      all = boost::json::array();
    }
    all.as_array().push_back(boost::json::object{{"str", item.value}});
  }
  return bag;
}

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

Result<> Builder::Blockdev(std::string_view text) {
  boost::json::object bag = TRY(ParseOptionBag(text, "driver", Nesting::kDotted));
  config_.blockdevs.push_back({std::move(bag), Format("-blockdev {}", text)});
  return {};
}

Result<> Builder::Netdev(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(NetdevHelpText());
  }
  if (const auto type = AsksForProperties(text)) {
    return Answer(TRY(NetdevOptionsHelpText(*type)));
  }
  boost::json::object bag = TRY(NetdevBag(text));
  config_.netdevs.push_back({std::move(bag), Format("-netdev {}", text)});
  return {};
}

Result<> Builder::Nic(std::string_view text) {
  default_nic_ = false;
  if (text == "none") {
    return {};
  }
  boost::json::object bag = TRY(NetdevBag(text));
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
    left_out += "floppy and parallel port";
    out_.notes.push_back(Format(
        "default devices left out because nandu does not have them yet: {} (-nodefaults takes them away)",
        left_out));
  }
  DefaultCdrom();
  const auto is_vga = [](const DeviceConfig& device) { return device.driver == "VGA"; };
  const bool has_vga = std::ranges::any_of(devices_, is_vga) || std::ranges::any_of(json_devices_, is_vga);
  if (vga_ ? *vga_ == "std" : !nodefaults_ && !has_vga) {
    DeviceConfig card;  // on the board: its address comes before all others
    card.driver = "VGA";
    card.options.source = "-vga std";
    config_.devices.push_back(std::move(card));
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
