// The registers of an x86-64 vCPU as gdb knows them: their numbers, names, widths and places. Pure, any
// thread. Specification: "Debugging with GDB", appendix G.5.8 (i386 features) and E.9 (target descriptions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "vcpu/debug_types.h"

namespace nandu {

struct GdbRegister {
  std::string name;
  size_t offset = 0;  // in CpuRegisters
  unsigned bytes = 0;
  std::string_view type;     // of a target description
  std::string_view feature;  // it belongs to
};

// By gdb's numbers: the core, SSE, the segment bases, then the control registers.
std::span<const GdbRegister> GdbRegisters();

// The target description that tells gdb all this.
std::string GdbTargetXml();

// A register's bytes, little-endian, in a CpuRegisters.
std::span<std::byte> BytesOf(CpuRegisters& registers, const GdbRegister& which);

}  // namespace nandu
