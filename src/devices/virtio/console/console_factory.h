// virtio-serial-pci, virtconsole and virtserialport: their rows for the device catalog, and their options as
// QEMU 7.2 names them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

struct VirtioSerialOptions : VirtioPciOptions {
  uint32_t max_ports = 31;
  bool emergency_write = true;
};
BOOST_DESCRIBE_STRUCT(VirtioSerialOptions, (VirtioPciOptions), (max_ports, emergency_write))
inline std::span<const WireName> WireNames(const VirtioSerialOptions* /*type*/) {
  static constexpr WireName kNames[] = {NANDU_VIRTIO_PCI_WIRE_NAMES, {"max_ports", "max_ports"}};
  return kNames;
}
Result<> Validate(const VirtioSerialOptions& options);

// virtconsole and virtserialport.
struct VirtioPortOptions {
  std::optional<std::string> bus;      // "serial0.0"; absent: the first virtio-serial bus
  std::optional<std::string> chardev;  // absent: what the guest writes is dropped
  std::optional<std::string> name;
  std::optional<uint32_t> nr;
};
BOOST_DESCRIBE_STRUCT(VirtioPortOptions, (), (bus, chardev, name, nr))

const DeviceFactory& VirtioSerialPciFactory(VirtioPciVariant variant = VirtioPciVariant::kPlain);
const DeviceFactory& VirtconsoleFactory();
const DeviceFactory& VirtserialportFactory();

}  // namespace nandu
