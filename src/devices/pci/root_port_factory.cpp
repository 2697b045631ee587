// pcie-root-port's row: options to object.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/pci/root_port.h"

namespace nandu {

namespace {

Result<std::unique_ptr<Device>> CreateRootPort(DeviceHost& host, const std::string& id,
                                               const boost::json::object& options) {
  const PcieRootPortOptions parsed = TRY(FromJson<PcieRootPortOptions>(
      options, {.path = "pcie-root-port", .field_word = "property", .lenient = true}));
  PciBus* const parent = TRY(host.FindPciBus(parsed.bus));
  std::unique_ptr<PcieRootPort> port = TRY(Prefix(PcieRootPort::Create(id, parsed, *parent, host.msi()), id));
  return std::unique_ptr<Device>(std::move(port));
}

}  // namespace

const DeviceFactory& PcieRootPortFactory() {
  static const DeviceFactory kFactory = {
      .driver = "pcie-root-port",
      .aliases = {},
      .description = "PCI Express root port with one slot",
      .bus = "PCI",
      .options = [] { return &TypeOf<PcieRootPortOptions>(); },
      .create = CreateRootPort,
  };
  return kFactory;
}

}  // namespace nandu
