// RAM from 0xc0000 to 1 MiB, which a guest switches to and fro with what lies below it: firmware's ROM, or
// nothing. PAM registers of the host bridge; Intel 3 Series Express Chipset datasheet (316966), 5.1.23 to
// 5.1.29. Within a transaction; the calling thread is outside KVM_RUN.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "devices/pci/host_bridge.h"
#include "memory/address_space.h"

namespace nandu {

class ShadowRam {
 public:
  static constexpr uint64_t kBase = 0xc0000;
  static constexpr uint64_t kEnd = 0x100000;
  static constexpr int kPriority = 0;  // firmware's shadow is below it

  // Maps `bytes` of `block` from `offset` on at `base`, in pieces that can be switched where it lies in the
  // area. All are readable and writable until the registers say otherwise.
  Result<> MapRam(AddressSpace& memory, const std::shared_ptr<RamBlock>& block, uint64_t offset,
                  uint64_t base, uint64_t bytes, std::vector<Mapping>* fixed);
  void Follow(const std::array<uint8_t, Q35HostBridge::kPamRegisters>& pam);

 private:
  static constexpr size_t kSegments = 13;
  std::array<std::vector<Mapping>, kSegments> segments_;
};

}  // namespace nandu
