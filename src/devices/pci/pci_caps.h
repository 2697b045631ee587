// Capabilities that many functions have, laid out as QEMU 7.2's devices show them. Built on the control
// thread, before Attach.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "devices/pci/pci_function.h"

namespace nandu {

// A capability as its fields: offsets count from the capability's first byte, as the specifications' tables
// do.
class CapabilityBody {
 public:
  enum class Space : uint8_t {
    kLegacy = 2,
    kExtended = 4
  };  // bytes of its header, which AddCapability writes
  CapabilityBody(Space space, uint16_t bytes);
  CapabilityBody& Field(uint16_t offset, unsigned size, uint32_t value, uint32_t writable = 0);
  std::span<const uint8_t> body() const { return body_; }
  std::span<const uint8_t> writable() const { return writable_; }

 private:
  const uint16_t header_;
  std::vector<uint8_t> body_;
  std::vector<uint8_t> writable_;
};

// PCI Bus Power Management 1.2, 3.2: D0 and D3hot, stored. Returns its offset.
Result<uint8_t> AddPowerManagement(PciFunction& function);

// PCI Express Base 5.0, 7.5.3: an endpoint below a port, at 2.5 GT/s and one lane, with function-level reset
// (SetResetHook).
Result<uint8_t> AddExpressEndpoint(PciFunction& function);

}  // namespace nandu
