// The general registers of the vCPU whose exit is being served, for the one interface that passes its arguments in them: VMware's backdoor
// port. On that vCPU's thread, within a register access; everything else of a vCPU is nobody's business here.
#pragma once

#include <cstdint>

namespace nandu {

// The registers a backdoor call uses.
struct CallRegisters {
  uint64_t rax = 0;
  uint64_t rbx = 0;
  uint64_t rcx = 0;
  uint64_t rdx = 0;
  uint64_t rsi = 0;
  uint64_t rdi = 0;
  bool operator==(const CallRegisters&) const = default;
};

class VcpuRegisters {
 public:
  VcpuRegisters() = default;
  VcpuRegisters(const VcpuRegisters&) = delete;
  VcpuRegisters& operator=(const VcpuRegisters&) = delete;
  virtual ~VcpuRegisters() = default;

  // False: this thread serves no vCPU's exit, or the host does not tell; `out` is as it was.
  virtual bool Get(CallRegisters* out) = 0;
  virtual bool Set(const CallRegisters& registers) = 0;
  // Facts a guest may ask for.
  virtual uint64_t TscHz() = 0;    // 0: unknown
  virtual bool HasX2Apic() = 0;
};

}  // namespace nandu
