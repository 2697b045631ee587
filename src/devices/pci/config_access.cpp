#include "devices/pci/config_access.h"

#include <utility>
#include <vector>

namespace nandu {

namespace {

constexpr uint64_t kOnes = ~uint64_t{0};
constexpr uint64_t kDataOffset = 4;
constexpr uint32_t kAddressEnable = 1U << 31;

struct Target {
  uint8_t bus;
  uint8_t devfn;
  uint16_t reg;
};

Target OfPorts(uint32_t address, uint64_t data_byte) {
  return {static_cast<uint8_t>(address >> 16), static_cast<uint8_t>(address >> 8),
          static_cast<uint16_t>((address & 0xfc) + data_byte)};
}

Target OfWindow(uint64_t offset) {
  return {static_cast<uint8_t>(offset >> 20), static_cast<uint8_t>(offset >> 12),
          static_cast<uint16_t>(offset & 0xfff)};
}

}  // namespace

uint64_t ConfigPorts::Read(uint64_t offset, unsigned size) {
  if (offset < kDataOffset) {
    if (offset == 0 && size == 4) {
      return address();
    }
    ignored_.Add();
    return kOnes;
  }
  const uint64_t byte = offset - kDataOffset;
  const uint32_t target_address = address();
  if ((target_address & kAddressEnable) == 0 || byte + size > 4) {
    ignored_.Add();
    return kOnes;
  }
  const Target at = OfPorts(target_address, byte);
  return root_.ReadConfig(at.bus, at.devfn, at.reg, size);
}

ExitDone ConfigPorts::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset == 0 && size == 4) {
    set_address(static_cast<uint32_t>(value));
    return ExitDone::Done();
  }
  const uint32_t target_address = address();
  if (offset < kDataOffset || (target_address & kAddressEnable) == 0 || offset - kDataOffset + size > 4) {
    ignored_.Add();
    return ExitDone::Done();
  }
  const Target at = OfPorts(target_address, offset - kDataOffset);
  return root_.WriteConfig(at.bus, at.devfn, at.reg, size, static_cast<uint32_t>(value));
}

uint64_t EcamWindow::Read(uint64_t offset, unsigned size) {
  if (size == 8) {
    return Read(offset, 4) | Read(offset + 4, 4) << 32;
  }
  const Target at = OfWindow(offset);
  return root_.ReadConfig(at.bus, at.devfn, at.reg, size);
}

ExitDone EcamWindow::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (size == 8) {
    std::vector<std::shared_ptr<ParkedExit>> tokens;
    for (unsigned half = 0; half < 2; half++) {
      if (const ExitDone done = Write(offset + 4 * half, 4, value >> (32 * half) & 0xffffffff);
          done.token() != nullptr) {
        tokens.push_back(done.token());
      }
    }
    return ParkForAll(std::move(tokens));
  }
  const Target at = OfWindow(offset);
  return root_.WriteConfig(at.bus, at.devfn, at.reg, size, static_cast<uint32_t>(value));
}

}  // namespace nandu
