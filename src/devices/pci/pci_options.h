// The options every PCI device takes: where it goes. Control thread.
#pragma once

#include <string>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

struct PciDeviceOptions {
  std::string bus;   // id of a bus; empty: the root bus
  std::string addr;  // "SLOT" or "SLOT.FUNCTION", hexadecimal as QEMU reads it; empty: the lowest free slot
  bool multifunction = false;
};
BOOST_DESCRIBE_STRUCT(PciDeviceOptions, (), (bus, addr, multifunction))

// What Attach takes: slot << 3 | function, or -1 when `addr` is empty.
Result<int> ParsePciAddress(const std::string& addr);

}  // namespace nandu
