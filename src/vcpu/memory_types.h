// The memory type range registers as a PC's firmware leaves them, for guests that are booted without one: RAM
// is cached, the PCI hole is not. Linux takes write combining away from its drivers where they are off.
// Specification: Intel SDM volume 3, 12.11. A pure function, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvm/kvm_abi.h"

namespace nandu {

// To be set on every vCPU in this order; nothing where the model has no such registers. `pci_hole` is where
// the hole below 4 GiB begins; its size is a power of two.
std::vector<kvm_msr_entry> FirmwareMemoryTypes(std::span<const kvm_cpuid_entry2> cpuid, uint64_t pci_hole,
                                               unsigned phys_bits);

}  // namespace nandu
