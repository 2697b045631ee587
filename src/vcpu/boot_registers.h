// Where a vCPU begins when no firmware runs before the guest. The boot room prepares memory (page tables,
// tables of segments, the kernel's parameters); this says what the registers must be. Specifications: Linux
// Documentation/arch/x86/boot.rst ("64-bit Boot Protocol"), Xen docs/misc/pvh.pandoc; Multiboot
// 0.6.96, 3.2; Intel SDM volume 3, 3.4.5.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kvm/kvm_abi.h"

namespace nandu {

struct BootRegisters {
  enum class Mode : uint8_t {
    kResetVector,  // the x86 reset state: real mode at 0xfffffff0
    kProtected32,  // flat 32-bit segments, no paging (PVH, multiboot)
    kLong64,       // flat 64-bit segments, paging by `cr3` (Linux's 64-bit protocol)
  };
  Mode mode = Mode::kResetVector;
  uint64_t rip = 0;
  uint64_t rax = 0;  // multiboot: its loader's magic
  uint64_t rsp = 0;
  uint64_t rbx = 0;  // PVH: address of hvm_start_info; multiboot: of its information
  uint64_t rsi = 0;  // Linux: address of boot_params
  uint64_t cr3 = 0;  // kLong64: identity-mapping page tables
  uint64_t gdt_base = 0;
  uint16_t gdt_limit = 0;
  // The selectors that stand in that GDT; Linux wants __BOOT_CS and __BOOT_DS.
  uint16_t code_selector = 0x10;
  uint16_t data_selector = 0x18;
};

// Changes registers that are in the reset state; nothing for kResetVector.
void ApplyBootRegisters(const BootRegisters& boot, kvm_regs* regs, kvm_sregs* sregs);

}  // namespace nandu
