// Firmware's chores on the PCI buses, done by nandu when no firmware runs, and again on every reset: bus
// numbers, BARs, bridge windows, interrupt line registers, decoding. Addresses in the order SeaBIOS gives
// them: larger ones first. Control thread, vCPUs stopped.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "devices/pci/pci_bus.h"

namespace nandu {

struct PciAddressRange {
  uint64_t base = 0;
  uint64_t end = 0;  // the first address after it
};

struct PciSetupOptions {
  PciAddressRange io{0xc000, 0x10000};
  PciAddressRange memory32;  // below 4 GiB
  PciAddressRange memory64;  // for 64-bit prefetchable BARs when memory32 cannot hold them
  // What the interrupt line register of a function says, by the root line its pin arrives at; 0xff:
  // unconnected.
  std::array<uint8_t, PciBus::kRootLines> irq_of_line{};
};

// Fails with a sentence when a window is too small for the devices; what was placed until then stays as it
// is.
Result<> SetUpPci(PciBus& root, const PciSetupOptions& options);

}  // namespace nandu
