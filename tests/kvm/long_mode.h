// What a guest in long mode stands on, in the RAM of a board under test: identity-mapped 4 GiB, flat
// segments, and an IDT for `lidt 0x5f0`. It is the one mode that every KVM runs whole: a software flavour
// emulates no IRET of 32-bit protected mode. Any thread, before the vCPUs run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vcpu/boot_registers.h"

namespace nandu {

// Puts the tables below 0x10000 and the code at `code_at`, and gives the registers to begin with.
BootRegisters PrepareLongMode(std::span<std::byte> ram, uint64_t code_at, uint64_t stack,
                              std::span<const char> code);
// Interrupts of `vector` run the code at `address`.
void SetLongModeVector(std::span<std::byte> ram, unsigned vector, uint64_t address);

}  // namespace nandu
