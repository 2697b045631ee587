// The registers of a vCPU that asks a device through them (VMware's backdoor), for tests and fuzzing.
#pragma once

#include <nandu/vcpu_registers.h>

namespace nandu {

// A vCPU whose registers hold what the access before left there.
struct FakeVcpuRegisters final : VcpuRegisters {
  bool Get(CallRegisters* out) override {
    *out = now;
    return true;
  }
  bool Set(const CallRegisters& registers) override {
    now = registers;
    return true;
  }
  uint64_t TscHz() override { return 0; }
  bool HasX2Apic() override { return true; }
  CallRegisters now;
};

}  // namespace nandu
