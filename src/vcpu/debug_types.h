// What a debugger sees of a vCPU, and what it may ask of one: plain values, so that who speaks to debuggers
// needs no KVM. Names and widths are those of the amd64 architecture.
#pragma once

#include <array>
#include <cstdint>

namespace nandu {

struct CpuRegisters {
  enum Gpr : uint8_t { kRax, kRbx, kRcx, kRdx, kRsi, kRdi, kRbp, kRsp, kR8, kR15 = 15 };
  std::array<uint64_t, 16> gpr{};  // rax rbx rcx rdx rsi rdi rbp rsp r8 ... r15
  uint64_t rip = 0;
  uint32_t eflags = 0;
  std::array<uint32_t, 6> segments{};           // selectors of cs ss ds es fs gs; read-only
  std::array<std::array<uint8_t, 10>, 8> st{};  // x87 stack
  std::array<uint32_t, 8> x87{};                // fctrl fstat ftag fiseg fioff foseg fooff fop
  std::array<std::array<uint8_t, 16>, 16> xmm{};
  uint32_t mxcsr = 0;
  uint64_t fs_base = 0;
  uint64_t gs_base = 0;
  uint64_t cr0 = 0;
  uint64_t cr2 = 0;
  uint64_t cr3 = 0;
  uint64_t cr4 = 0;
  uint64_t cr8 = 0;
  uint64_t efer = 0;
  bool operator==(const CpuRegisters&) const = default;
};

// One of the four address registers of the CPU (Intel SDM volume 3, 18.2.4).
struct HardwareBreakpoint {
  enum class On : uint8_t { kExecute = 0, kWrite = 1, kAccess = 3 };  // R/W bits of DR7
  On on = On::kExecute;
  uint64_t address = 0;
  uint8_t bytes = 1;  // 1, 2, 4 or 8; an execution has 1
  bool operator==(const HardwareBreakpoint&) const = default;
};
inline constexpr size_t kHardwareBreakpoints = 4;

// Why KVM left the guest for its debugger.
struct DebugExit {
  static constexpr uint32_t kDebugException = 1;    // #DB
  static constexpr uint32_t kBreakpoint = 3;        // #BP, by int3
  static constexpr uint64_t kSingleStep = 1 << 14;  // DR6.BS
  uint32_t exception = 0;
  uint64_t pc = 0;
  uint64_t dr6 = 0;
};

}  // namespace nandu
