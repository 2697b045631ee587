// The options every PCI device takes: where it goes, and its expansion ROM. Control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

struct PciDeviceOptions {
  std::string bus;   // id of a bus; empty: the root bus
  std::string addr;  // "SLOT" or "SLOT.FUNCTION", hexadecimal as QEMU reads it; empty: the lowest free slot
  bool multifunction = false;
  std::optional<std::string> romfile;  // empty: no expansion ROM; absent: the device's own, if it has one
  std::optional<uint32_t> romsize;     // bytes of its BAR, a power of two; absent: what the file needs
  uint32_t rombar = 1;                 // 0: the ROM is firmware's to load, there is no BAR for it
};
BOOST_DESCRIBE_STRUCT(PciDeviceOptions, (), (bus, addr, multifunction, romfile, romsize, rombar))

// What Attach takes: slot << 3 | function, or -1 when `addr` is empty.
Result<int> ParsePciAddress(const std::string& addr);

}  // namespace nandu
