// What booting hands to the machine: the state a vCPU starts in, and the shape of RAM it was made for. Plain
// data.
#pragma once

#include <cstdint>

namespace nandu {

// The boot vCPU's registers. Whatever is not named has its value after reset; interrupts are off.
struct CpuEntry {
  enum class Mode : uint8_t {
    kReset,        // f000:fff0 with the reset state: a firmware ROM is mapped there
    kProtected32,  // PE set, paging off, flat 4 GiB segments (PVH, multiboot)
    kLong64,       // PE, PG, PAE, LME and LMA set, page tables at cr3, flat segments (Linux's 64-bit entry)
  };
  Mode mode = Mode::kReset;
  uint64_t rip = 0;
  uint64_t rax = 0;
  uint64_t rsp = 0;
  uint64_t rsi = 0;
  uint64_t rbx = 0;
  uint64_t cr3 = 0;       // kLong64
  uint64_t gdt_base = 0;  // descriptors are in guest memory; the hidden parts are flat
  uint16_t gdt_limit = 0;
  uint16_t code_selector = 0;
  uint16_t data_selector = 0;  // ds, es, ss
  bool operator==(const CpuEntry&) const = default;
};

// RAM as the machine laid it out: [0, low_ram_bytes) and [high_ram_base, high_ram_base + high_ram_bytes).
struct MemoryLayout {
  uint64_t low_ram_bytes = 0;
  uint64_t high_ram_bytes = 0;
  uint64_t high_ram_base = uint64_t{1} << 32;
  uint64_t ecam_base = 0xb0000000;
  uint64_t ecam_bytes = 0x10000000;
  // AMD's processors keep the 12 GiB below 1 TiB for HyperTransport; nothing may be mapped there.
  bool hypertransport_hole = false;
};

}  // namespace nandu
