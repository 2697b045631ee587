#include "devices/pci/config_space.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {
constexpr uint8_t ByteOf(uint32_t value, unsigned i) { return static_cast<uint8_t>(value >> (8 * i)); }
}  // namespace

ConfigSpace::ConfigSpace(uint16_t bytes)
    : values_(bytes), initial_(bytes), writable_(bytes), clears_(bytes), changing_(bytes), taken_(bytes) {
  std::fill_n(taken_.begin(), pci::kHeaderBytes, uint8_t{1});
}

uint32_t ConfigSpace::Read(uint16_t reg, unsigned size) const {
  NANDU_CHECK(Holds(reg, size), "a configuration access was bounded before");
  uint32_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= static_cast<uint32_t>(values_[reg + i]) << (8 * i);
  }
  return value;
}

bool ConfigSpace::Write(uint16_t reg, unsigned size, uint32_t value) {
  NANDU_CHECK(Holds(reg, size), "a configuration access was bounded before");
  bool changed = false;
  for (unsigned i = 0; i < size; i++) {
    const uint8_t before = values_[reg + i];
    const uint8_t mask = writable_[reg + i];
    const unsigned kept = before & ~mask & ~(clears_[reg + i] & ByteOf(value, i));
    values_[reg + i] = static_cast<uint8_t>(kept | (ByteOf(value, i) & mask));
    changed |= values_[reg + i] != before;
  }
  return changed;
}

void ConfigSpace::Put(uint16_t reg, unsigned size, uint32_t value, uint32_t mask) {
  NANDU_CHECK(Holds(reg, size), "a device's own registers lie in its configuration space");
  for (unsigned i = 0; i < size; i++) {
    const uint8_t bits = ByteOf(mask, i);
    changing_[reg + i] |= bits;
    values_[reg + i] = static_cast<uint8_t>((values_[reg + i] & ~bits) | (ByteOf(value, i) & bits));
  }
}

void ConfigSpace::Define(uint16_t reg, unsigned size, uint32_t value, uint32_t writable) {
  NANDU_CHECK(Holds(reg, size), "a device's own registers lie in its configuration space");
  for (unsigned i = 0; i < size; i++) {
    values_[reg + i] = initial_[reg + i] = ByteOf(value, i);
    writable_[reg + i] = ByteOf(writable, i);
  }
}

void ConfigSpace::DefineWritable(uint16_t reg, unsigned size, uint32_t writable) {
  NANDU_CHECK(Holds(reg, size), "a device's own registers lie in its configuration space");
  for (unsigned i = 0; i < size; i++) {
    writable_[reg + i] = ByteOf(writable, i);
  }
}

void ConfigSpace::DefineWriteOneToClear(uint16_t reg, unsigned size, uint32_t bits) {
  NANDU_CHECK(Holds(reg, size), "a device's own registers lie in its configuration space");
  for (unsigned i = 0; i < size; i++) {
    clears_[reg + i] = ByteOf(bits, i);
  }
}

Result<uint8_t> ConfigSpace::AddCapability(uint8_t id, std::span<const uint8_t> body,
                                           std::span<const uint8_t> writable, uint8_t at) {
  NANDU_CHECK(writable.empty() || writable.size() == body.size(),
              "a capability's mask is as long as its body");
  const size_t bytes = AlignUp(2 + body.size(), 4);
  const auto is_free = [&](size_t offset) {
    return offset + bytes <= pci::kConfigBytes &&
           std::all_of(taken_.begin() + static_cast<ptrdiff_t>(offset),
                       taken_.begin() + static_cast<ptrdiff_t>(offset + bytes),
                       [](uint8_t t) { return t == 0; });
  };
  size_t offset = at != 0 ? at : pci::kHeaderBytes;
  while (at == 0 && offset + bytes <= pci::kConfigBytes && !is_free(offset)) {
    offset += 4;
  }
  if (offset % 4 != 0 || offset < pci::kHeaderBytes || !is_free(offset)) {
    return Fail(Errc::kNoMemory, "no room for capability {:#04x} of {} bytes in configuration space", id,
                bytes);
  }
  std::fill_n(taken_.begin() + static_cast<ptrdiff_t>(offset), bytes, uint8_t{1});
  const auto reg = static_cast<uint16_t>(offset);
  Define(reg, 2, id | Read(pci::kCapabilityPointer, 1) << 8, 0);
  for (size_t i = 0; i < body.size(); i++) {
    Define(static_cast<uint16_t>(reg + 2 + i), 1, body[i], writable.empty() ? 0 : writable[i]);
  }
  Define(pci::kCapabilityPointer, 1, reg, 0);
  const uint32_t status = Read(pci::kStatus, 2) | pci::kStatusCapabilities;
  Define(pci::kStatus, 2, status, 0);
  return static_cast<uint8_t>(offset);
}

Result<uint16_t> ConfigSpace::AddExtendedCapability(uint16_t id, uint8_t version,
                                                    std::span<const uint8_t> body,
                                                    std::span<const uint8_t> writable) {
  NANDU_CHECK(writable.empty() || writable.size() == body.size(),
              "a capability's mask is as long as its body");
  const size_t bytes = AlignUp(4 + body.size(), 4);
  if (next_extended_ + bytes > values_.size()) {
    return Fail(Errc::kNoMemory, "no room for extended capability {:#06x} of {} bytes in configuration space",
                id, bytes);
  }
  const uint16_t reg = next_extended_;
  Define(reg, 4, id | static_cast<uint32_t>(version & 0xf) << 16, 0);
  for (size_t i = 0; i < body.size(); i++) {
    Define(static_cast<uint16_t>(reg + 4 + i), 1, body[i], writable.empty() ? 0 : writable[i]);
  }
  if (last_extended_ != 0) {
    Define(last_extended_, 4, Read(last_extended_, 4) | static_cast<uint32_t>(reg) << 20, 0);
  }
  last_extended_ = reg;
  next_extended_ = static_cast<uint16_t>(reg + bytes);
  return reg;
}

uint8_t ConfigSpace::FindCapability(uint8_t id) const {
  // The chain is this function's own (no guest writes it), so it ends.
  for (uint32_t at = Read(pci::kCapabilityPointer, 1); at != 0; at = values_[at + 1]) {
    if (values_[at] == id) {
      return static_cast<uint8_t>(at);
    }
  }
  return 0;
}

std::vector<std::byte> ConfigSpace::bytes() const {
  const auto* const first = reinterpret_cast<const std::byte*>(values_.data());
  return {first, first + values_.size()};
}

Result<> ConfigSpace::CheckLoaded(std::span<const std::byte> saved) const {
  if (saved.size() != values_.size()) {
    return Fail(Errc::kCorrupt, "configuration space of {} bytes, expected {}", saved.size(), values_.size());
  }
  for (size_t i = 0; i < values_.size(); i++) {
    const unsigned fixed = ~(static_cast<unsigned>(writable_[i]) | clears_[i] | changing_[i]) & 0xff;
    if (((static_cast<unsigned>(saved[i]) ^ initial_[i]) & fixed) != 0) {
      return Fail(
          Errc::kCorrupt,
          "configuration byte {:#05x} is {:#04x}, here {:#04x}: the device is not the one that was saved", i,
          static_cast<unsigned>(saved[i]), initial_[i]);
    }
  }
  return {};
}

void ConfigSpace::SetBytes(std::span<const std::byte> saved) {
  NANDU_CHECK(saved.size() == values_.size(), "loaded configuration space was checked before");
  std::transform(saved.begin(), saved.end(), values_.begin(),
                 [](std::byte b) { return static_cast<uint8_t>(b); });
}

}  // namespace nandu
