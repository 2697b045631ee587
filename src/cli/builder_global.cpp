// -global: a driver's default for every device of that driver. Those of the board are taken here; those of
// -device go to the machine, which fills in what a device's own properties do not say.

#include <algorithm>

#include "cli/builder.h"
#include "cli/numbers.h"
#include "cli/property_list.h"
#include "machine/device_support.h"

namespace nandu {
namespace {

// "driver.property=value", where the value may hold anything, or all three as properties.
Result<GlobalConfig> Split(std::string_view text) {
  const size_t dot = text.find('.');
  const size_t equals = text.find('=');
  if (dot != std::string_view::npos && equals != std::string_view::npos && dot < equals &&
      text.find(',') > equals) {
    return GlobalConfig{std::string(text.substr(0, dot)), std::string(text.substr(dot + 1, equals - dot - 1)),
                        std::string(text.substr(equals + 1))};
  }
  PropertyList list = TRY(PropertyList::Parse(text, {}));
  GlobalConfig global;
  global.driver = list.Take("driver");
  global.property = list.Take("property");
  const bool has_value = list.Has("value");
  global.value = list.Take("value");
  if (global.driver.empty() || global.property.empty() || !has_value) {
    return Fail(Errc::kInvalidArgument, "write DRIVER.PROPERTY=VALUE, or driver=,property=,value=");
  }
  TRY(list.Finish());
  return global;
}

// A property of the board's own devices. A row that only one value satisfies names it.
struct BoardProperty {
  std::string_view driver;
  std::string_view property;
  std::string_view only;  // the value that is served; empty: none
  std::string_view why;
};

constexpr BoardProperty kBoard[] = {
    {"ICH9-LPC", "disable_s3", "1", "suspend to RAM waits for firmware"},
    {"cfi.pflash01", "secure", "", "it waits for firmware"},
    {"mch", "extended-tseg-mbytes", "", "it waits for firmware"},
};
// The board's drivers: what is not known of them is an error, as it is in QEMU.
constexpr std::string_view kBoardDrivers[] = {"ICH9-LPC",   "kvm-pit",     "mc146818rtc", "cfi.pflash01",
                                              "mch",        "q35-pcihost", "hpet",        "ioapic",
                                              "kvm-ioapic", "kvm-apic"};

}  // namespace

Result<> Builder::Global(std::string_view text) {
  const GlobalConfig global = TRY(Split(text));
  if (std::ranges::find(kBoardDrivers, global.driver) != std::end(kBoardDrivers)) {
    return BoardGlobal(global);
  }
  if (global.driver.ends_with("-x86_64-cpu")) {
    return Fail(Errc::kUnsupported, "a CPU's property belongs to its model: -cpu MODEL,{}={}",
                global.property, global.value);
  }
  std::string_view driver = global.driver;
  constexpr std::string_view kBase = "-base";  // "virtio-rng-pci-base": of the device's three names
  if (driver.starts_with("virtio-") && driver.ends_with("-pci-base")) {
    driver.remove_suffix(kBase.size());
  }
  const DeviceSupport* support = FindDeviceSupport(driver);
  if (support == nullptr && global.driver != "virtio-pci" && global.driver != "pci-device") {
    // As in QEMU: a name that no driver has is most likely another version's, and the VM starts without.
    out_.notes.push_back(Format("warning: -global {}: there is no driver '{}'", text, global.driver));
    return {};
  }
  config_.globals.push_back(global);  // where there is no such device, nothing takes it
  return {};
}

Result<> Builder::BoardGlobal(const GlobalConfig& global) {
  if (global.driver == "ICH9-LPC" && global.property == "disable_s4") {
    config_.acpi_s4 = TRY(Prefix(NumberFrom(global.value, 0, UINT8_MAX), "disable_s4")) == 0;
    return {};
  }
  if (global.driver == "ICH9-LPC" && global.property == "noreboot") {
    config_.no_reboot_strap = TRY(Prefix(SwitchFrom(global.value), "noreboot"));
    return {};
  }
  if (global.driver == "mc146818rtc" && global.property == "lost_tick_policy") {
    if (global.value != "discard" && global.value != "slew") {
      return Fail(Errc::kInvalidArgument, "lost_tick_policy={}: known are discard and slew", global.value);
    }
    config_.rtc.slew = global.value == "slew";
    return {};
  }
  if (global.driver == "kvm-pit" && global.property == "lost_tick_policy") {
    if (global.value != "delay" && global.value != "discard") {
      return Fail(Errc::kInvalidArgument, "lost_tick_policy={}: known are delay and discard", global.value);
    }
    config_.pit_discards_lost_ticks = global.value == "discard";
    return {};
  }
  for (const BoardProperty& row : kBoard) {
    if (row.driver == global.driver && row.property == global.property) {
      return !row.only.empty() && global.value == row.only
                 ? Result<>()
                 : Fail(Errc::kUnsupported, "{}={} is not served: {}", global.property, global.value,
                        row.why);
    }
  }
  return Fail(Errc::kUnsupported, "property '{}' of the board's '{}' is not served", global.property,
              global.driver);
}

}  // namespace nandu
