// The memory map a guest is told: in boot_params for Linux, in the start info for PVH. Same ranges as on
// QEMU's q35 with SeaBIOS. Specification: ACPI 6.5, section 15 (address range types). Pure functions, any
// thread.
#pragma once

#include <cstdint>
#include <vector>

#include "boot/boot_plan.h"

namespace nandu {

enum class E820Type : uint32_t { kRam = 1, kReserved = 2 };

struct E820Entry {
  uint64_t base = 0;
  uint64_t size = 0;
  E820Type type = E820Type::kRam;
  bool operator==(const E820Entry&) const = default;
};

// `acpi_bytes`: the ACPI tables' share at the end of low RAM. Sorted, without overlaps.
std::vector<E820Entry> BuildE820(const MemoryLayout& memory, uint64_t acpi_bytes);

}  // namespace nandu
