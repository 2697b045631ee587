// The bytes of one function's configuration space: what they hold, what a guest may change, what they hold
// after a reset, and the chains of capabilities. No lock of its own: PciFunction's mutex guards it. PCI Local
// Bus 3.0 sections 6.1 and 6.7; PCI Express Base 5.0 section 7.6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace nandu {

class ConfigSpace {
 public:
  explicit ConfigSpace(uint16_t bytes);

  uint16_t size() const { return static_cast<uint16_t>(values_.size()); }
  bool Holds(uint16_t reg, unsigned size) const {
    return size >= 1 && size <= 4 && reg + size <= values_.size();
  }
  uint32_t Read(uint16_t reg, unsigned size) const;

  // A guest's write, through the masks. True when a bit changed.
  bool Write(uint16_t reg, unsigned size, uint32_t value);
  // The device's own change of what it shows now; a reset takes it back. Not compared when state is loaded.
  void Put(uint16_t reg, unsigned size, uint32_t value, uint32_t mask = ~uint32_t{0});
  // What the register holds after reset (and now), and which bits a guest may write.
  void Define(uint16_t reg, unsigned size, uint32_t value, uint32_t writable);
  void DefineWritable(uint16_t reg, unsigned size, uint32_t writable);
  void DefineWriteOneToClear(uint16_t reg, unsigned size, uint32_t bits);
  void Reset() { values_ = initial_; }

  // At `at`, or where there is room first; new ones go to the head of the chain, as QEMU links them.
  Result<uint8_t> AddCapability(uint8_t id, std::span<const uint8_t> body, std::span<const uint8_t> writable,
                                uint8_t at);
  // One after the other from 0x100 on, linked at the tail.
  Result<uint16_t> AddExtendedCapability(uint16_t id, uint8_t version, std::span<const uint8_t> body,
                                         std::span<const uint8_t> writable);
  uint8_t FindCapability(uint8_t id) const;  // 0: none

  std::vector<std::byte> bytes() const;
  // Saved bytes are from outside: what no guest and no Put may change must be what this function has.
  Result<> CheckLoaded(std::span<const std::byte> saved) const;
  void SetBytes(std::span<const std::byte> saved);

 private:
  std::vector<uint8_t> values_;
  std::vector<uint8_t> initial_;
  std::vector<uint8_t> writable_;
  std::vector<uint8_t> clears_;    // write one to clear
  std::vector<uint8_t> changing_;  // the device's own status bits
  std::vector<uint8_t> taken_;     // by the header or a capability
  uint16_t last_extended_ = 0;
  uint16_t next_extended_ = 0x100;
};

}  // namespace nandu
