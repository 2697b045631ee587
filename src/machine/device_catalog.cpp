#include "machine/device_catalog.h"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "base/described.h"
#include "base/json.h"
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

namespace nandu {
namespace {

bool Answers(const DeviceFactory& factory, std::string_view driver) {
  return factory.driver == driver || std::ranges::find(factory.aliases, driver) != factory.aliases.end();
}

std::string KindText(const TypeInfo& type) {
  switch (type.kind) {
    case TypeKind::kBool: return "bool";
    case TypeKind::kInteger: return "number";
    case TypeKind::kDouble: return "number";
    case TypeKind::kString: return "string";
    case TypeKind::kEnum: {
      std::string choices;
      for (const EnumeratorInfo& enumerator : type.enumerators) {
        choices += (choices.empty() ? "" : "|") + enumerator.wire;
      }
      return choices;
    }
    case TypeKind::kOptional: return KindText(type.element());
    default: return "value";
  }
}

// What stands in an options struct before anybody says anything; empty for what is then absent.
std::string DefaultText(const TypeInfo& type, const void* object) {
  const boost::json::value value = ToJson(type, object);
  return value.is_null() || (value.is_string() && value.as_string().empty()) ? std::string()
                                                                             : JsonText(value);
}

}  // namespace

std::span<const DeviceFactory* const> DeviceCatalog() {
  static const DeviceFactory* const kCatalog[] = {
      &IsaDebugExitFactory(),   &IsaDebugconFactory(),      &IsaSerialFactory(),    &PcieRootPortFactory(),
      &PvPanicFactory(),        &VirtioBalloonPciFactory(), &VirtioBlkPciFactory(), &VirtioNetPciFactory(),
      &VirtioRngPciFactory(),   &VirtioSerialPciFactory(),  &VirtconsoleFactory(),  &VirtserialportFactory(),
      &VmGenerationIdFactory(),
  };
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
  const TypeInfo& type = *factory->options();
  const auto* defaults = static_cast<const char*>(type.default_object());
  std::string text = Format("{} options:\n", factory->driver);
  for (const FieldInfo& field : type.fields) {
    const TypeInfo& field_type = field.type();
    const std::string left = Format("  {}=<{}>", field.wire, KindText(field_type));
    const std::string standard = DefaultText(field_type, defaults + field.offset);
    text += standard.empty() ? left + "\n" : Format("{:<40} (default: {})\n", left, standard);
  }
  return text;
}

}  // namespace nandu
