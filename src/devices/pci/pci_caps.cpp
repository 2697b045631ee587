#include "devices/pci/pci_caps.h"

#include "base/check.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

CapabilityBody::CapabilityBody(Space space, uint16_t bytes)
    : header_(static_cast<uint16_t>(space)), body_(bytes - header_), writable_(bytes - header_) {}

CapabilityBody& CapabilityBody::Field(uint16_t offset, unsigned size, uint32_t value, uint32_t writable) {
  NANDU_CHECK(offset >= header_ && offset - header_ + size <= body_.size(),
              "a field lies within its capability");
  for (unsigned i = 0; i < size; i++) {
    body_[offset - header_ + i] = static_cast<uint8_t>(value >> (8 * i));
    writable_[offset - header_ + i] = static_cast<uint8_t>(writable >> (8 * i));
  }
  return *this;
}

Result<uint8_t> AddPowerManagement(PciFunction& function) {
  CapabilityBody caps(CapabilityBody::Space::kLegacy, 8);
  caps.Field(0x02, 2, 0x0003);     // version 3, no PME, no D1 or D2
  caps.Field(0x04, 2, 0, 0x0003);  // PowerState
  return function.AddCapability(pci::kCapPowerManagement, caps.body(), caps.writable());
}

Result<uint8_t> AddExpressEndpoint(PciFunction& function) {
  CapabilityBody caps(CapabilityBody::Space::kLegacy, 0x3c);
  caps.Field(0x02, 2, 0x0002);                          // version 2, endpoint
  caps.Field(0x04, 4, pci::kDeviceCapsFlr | 1U << 15);  // role-based error reporting
  caps.Field(0x08, 2, 0, 0x000f);                       // error reporting enables
  caps.Field(0x0c, 4, 0x00000411);                      // 2.5 GT/s, x1, ASPM L0s
  caps.Field(0x10, 2, 0, 0x00c0);                       // common clock, extended synch
  caps.Field(0x12, 2, 0x0011);
  caps.Field(0x24, 4, 0x00300000);  // extended format, end-end prefixes
  caps.Field(0x28, 2, 0, 0x8000);   // end-end prefix blocking
  return function.AddCapability(pci::kCapExpress, caps.body(), caps.writable());
}

}  // namespace nandu
