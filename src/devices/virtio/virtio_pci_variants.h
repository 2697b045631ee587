// A virtio device under its three names, as QEMU has them: virtio-rng-pci, whose legacy interface depends on
// its place and its options; virtio-rng-pci-transitional, which always has one, and -non-transitional, which
// never has. The last two do not take disable-legacy and disable-modern. Factories name what they make once:
//
//   constexpr VirtioPciNames kNames = {{"virtio-rng-pci", "virtio-rng-pci-transitional",
//                                       "virtio-rng-pci-non-transitional"}, "virtio-rng", "random numbers
//                                       ..."};
//   const DeviceFactory& VirtioRngPciFactory(VirtioPciVariant variant) {
//     return VirtioPciFactoryOf<kNames, VirtioRngOptions, CreateRng>(variant);
//   }
//
// Control thread.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/virtio_pci_options.h"

namespace nandu {

enum class VirtioPciVariant : uint8_t { kPlain, kTransitional, kNonTransitional };
inline constexpr std::array<VirtioPciVariant, 3> kVirtioPciVariants = {
    VirtioPciVariant::kPlain, VirtioPciVariant::kTransitional, VirtioPciVariant::kNonTransitional};

struct VirtioPciNames {
  std::array<std::string_view, kVirtioPciVariants.size()> drivers;
  std::string_view alias;  // of the plain one
  std::string_view description;

  constexpr std::string_view driver(VirtioPciVariant variant) const {
    return drivers[static_cast<size_t>(variant)];
  }
};

// `type` without the properties that say whether there is a legacy interface.
TypeInfo WithoutInterfaceChoice(TypeInfo type);

template <class Options, VirtioPciVariant kVariant>
const TypeInfo& VirtioPciOptionsType() {
  static const TypeInfo kType =
      kVariant == VirtioPciVariant::kPlain ? TypeOf<Options>() : WithoutInterfaceChoice(TypeOf<Options>());
  return kType;
}

template <const VirtioPciNames& kNames, class Options, auto kCreate, VirtioPciVariant kVariant>
Result<std::unique_ptr<Device>> CreateVirtioPciVariant(DeviceHost& host, const std::string& id,
                                                       const boost::json::object& options) {
  constexpr std::string_view kDriver = kNames.driver(kVariant);
  Options parsed;
  TRY(FromJson(VirtioPciOptionsType<Options, kVariant>(), &parsed, options,
               {.path = kDriver, .field_word = "property", .lenient = true}));
  if (kVariant != VirtioPciVariant::kPlain) {
    parsed.disable_legacy = kVariant == VirtioPciVariant::kTransitional ? OnOffAuto::kOff : OnOffAuto::kOn;
  }
  return kCreate(host, id, parsed, kDriver);
}

template <const VirtioPciNames& kNames, class Options, auto kCreate, VirtioPciVariant kVariant>
DeviceFactory MakeVirtioPciFactory() {
  DeviceFactory factory = {};
  factory.driver = kNames.driver(kVariant);
  if (kVariant == VirtioPciVariant::kPlain) {
    factory.aliases = {kNames.alias};
  }
  factory.description = kNames.description;
  factory.bus = "PCI";
  factory.options = [] { return &VirtioPciOptionsType<Options, kVariant>(); };
  factory.create = CreateVirtioPciVariant<kNames, Options, kCreate, kVariant>;
  return factory;
}

// `kCreate`: Result<std::unique_ptr<Device>>(DeviceHost&, const std::string& id, const Options&,
// std::string_view driver); the driver's name is a literal.
template <const VirtioPciNames& kNames, class Options, auto kCreate>
const DeviceFactory& VirtioPciFactoryOf(VirtioPciVariant variant) {
  static const std::array<DeviceFactory, kVirtioPciVariants.size()> kFactories = {
      MakeVirtioPciFactory<kNames, Options, kCreate, VirtioPciVariant::kPlain>(),
      MakeVirtioPciFactory<kNames, Options, kCreate, VirtioPciVariant::kTransitional>(),
      MakeVirtioPciFactory<kNames, Options, kCreate, VirtioPciVariant::kNonTransitional>()};
  return kFactories[static_cast<size_t>(variant)];
}

}  // namespace nandu
