#include "machine/device_catalog.h"

#include <algorithm>
#include <vector>

#include "base/nearest.h"
#include "devices/legacy/debug_exit.h"
#include "devices/legacy/debugcon.h"
#include "devices/legacy/pvpanic.h"
#include "devices/legacy/serial_device.h"
#include "devices/legacy/vm_generation_id.h"
#include "devices/pci/root_port.h"
#include "devices/virtio/balloon/balloon_factory.h"
#include "devices/virtio/blk/blk_factory.h"
#include "devices/virtio/console/console_factory.h"
#include "devices/virtio/net/net_factory.h"
#include "devices/virtio/rng/rng_factory.h"
#include "machine/device_support.h"
#include "machine/loader_device.h"
#include "machine/options_help.h"

namespace nandu {
namespace {

bool Answers(const DeviceFactory& factory, std::string_view driver) {
  return factory.driver == driver || std::ranges::find(factory.aliases, driver) != factory.aliases.end();
}

std::vector<const DeviceFactory*> MakeCatalog() {
  std::vector<const DeviceFactory*> catalog = {
      &IsaDebugExitFactory(), &IsaDebugconFactory(),    &IsaSerialFactory(),
      &LoaderFactory(),       &PcieRootPortFactory(),   &PvPanicFactory(),
      &VirtconsoleFactory(),  &VirtserialportFactory(), &VmGenerationIdFactory(),
  };
  for (const VirtioPciVariant variant : kVirtioPciVariants) {
    catalog.insert(catalog.end(), {&VirtioBalloonPciFactory(variant), &VirtioBlkPciFactory(variant),
                                   &VirtioNetPciFactory(variant), &VirtioRngPciFactory(variant),
                                   &VirtioSerialPciFactory(variant)});
  }
  std::ranges::sort(catalog, {}, &DeviceFactory::driver);
  return catalog;
}

}  // namespace

std::span<const DeviceFactory* const> DeviceCatalog() {
  static const std::vector<const DeviceFactory*> kCatalog = MakeCatalog();
  return kCatalog;
}

Result<const DeviceFactory*> FindDeviceFactory(std::string_view driver) {
  std::vector<std::string_view> known;
  for (const DeviceFactory* factory : DeviceCatalog()) {
    if (Answers(*factory, driver)) {
      return factory;
    }
    known.push_back(factory->driver);
    known.insert(known.end(), factory->aliases.begin(), factory->aliases.end());
  }
  if (const DeviceSupport* support = FindDeviceSupport(driver)) {
    TRY(CheckServed(Format("device '{}'", driver), support->handling, support->text));
  }
  return Fail(Errc::kNotFound, "there is no device '{}'{}; 'nandu -device help' lists them", driver,
              DidYouMean(driver, known));
}

std::string DeviceHelpText() {
  std::string text;
  for (const DeviceFactory* factory : DeviceCatalog()) {
    text += Format("name \"{}\", bus {}", factory->driver, factory->bus);
    for (const std::string_view alias : factory->aliases) {
      text += Format(", alias \"{}\"", alias);
    }
    text += Format(", desc \"{}\"\n", factory->description);
  }
  return text;
}

Result<std::string> DeviceOptionsHelpText(std::string_view driver) {
  const DeviceFactory* factory = TRY(FindDeviceFactory(driver));
  return OptionsHelpText(factory->driver, *factory->options());
}

}  // namespace nandu
