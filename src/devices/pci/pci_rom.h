// The expansion ROM a PCI device gets by romfile=, romsize= and rombar=. Control thread, while the machine is
// built. PCI Firmware Specification 3.0, section 5.1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "devices/pci/pci_options.h"
#include "memory/ram_block.h"

namespace nandu {

class DeviceHost;

struct PciRom {
  std::shared_ptr<RamBlock> image;
  uint64_t bar_bytes = 0;  // a power of two
};

// Reads romfile=, or where it is not given `own_file`, the device's own (empty: it has none). Null: no ROM.
// Used as `function.AddRom(rom->image, rom->bar_bytes)`.
Result<std::shared_ptr<const PciRom>> LoadPciRom(DeviceHost& host, const std::string& device,
                                                 const PciDeviceOptions& options,
                                                 const std::string& own_file = {});

}  // namespace nandu
