#include "machine/globals.h"

#include "base/described.h"
#include "base/nearest.h"

namespace nandu {
namespace {

// QEMU keeps a virtio device's own properties with the device behind its PCI function: both names reach it,
// and one that its three names have in common.
bool AppliesTo(const DeviceFactory& factory, std::string_view driver) {
  if (driver == factory.driver || (driver == "pci-device" && factory.bus == "PCI")) {
    return true;
  }
  constexpr std::string_view kPci = "-pci";
  const size_t pci = factory.driver.find(kPci);  // and what may follow: -transitional, -non-transitional
  if (!factory.driver.starts_with("virtio-") || pci == std::string_view::npos) {
    return false;
  }
  const std::string_view stem = factory.driver.substr(0, pci);
  return driver == "virtio-pci" || driver == Format("{}-device", stem) ||
         driver == Format("{}-pci-base", stem);
}

}  // namespace

Result<boost::json::object> WithGlobals(const DeviceFactory& factory, boost::json::object options,
                                        std::span<const GlobalConfig> globals) {
  boost::json::object defaults;
  for (const GlobalConfig& global : globals) {
    if (!AppliesTo(factory, global.driver)) {
      continue;
    }
    const TypeInfo& type = *factory.options();
    if (type.FindField(global.property) == nullptr) {
      std::vector<std::string_view> known;
      for (const FieldInfo& field : type.fields) {
        known.push_back(field.wire);
      }
      return Fail(Errc::kNotFound, "-global {}.{}={}: there is no such property of '{}'{}", global.driver,
                  global.property, global.value, factory.driver, DidYouMean(global.property, known));
    }
    defaults[global.property] = global.value;
  }
  for (auto& [property, value] : defaults) {
    if (!options.contains(property)) {
      options[property] = std::move(value);
    }
  }
  return options;
}

}  // namespace nandu
