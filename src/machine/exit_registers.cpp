// The registers of the vCPU whose exit is being served, out of KVM and back. On that vCPU's thread: KVM takes
// them while an exit waits to be completed, and puts the value of a port read over RAX afterwards.
#include <algorithm>

#include "machine/kvm_board.h"

namespace nandu {
namespace {

class ExitRegisters final : public VcpuRegisters {
 public:
  bool Get(CallRegisters* out) override {
    kvm_regs regs;
    if (!Fetch(&regs)) {
      return false;
    }
    *out = {regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi};
    return true;
  }
  bool Set(const CallRegisters& registers) override {
    kvm_regs regs;
    if (!Fetch(&regs)) {
      return false;
    }
    regs.rax = registers.rax;
    regs.rbx = registers.rbx;
    regs.rcx = registers.rcx;
    regs.rdx = registers.rdx;
    regs.rsi = registers.rsi;
    regs.rdi = registers.rdi;
    const Result<> set = Vcpu::Current()->kvm().Set(KVM_SET_REGS, &regs, "general registers");
    return set.has_value();
  }
  uint64_t TscHz() override {
    Vcpu* const vcpu = Vcpu::Current();
    return vcpu == nullptr ? 0 : uint64_t{vcpu->kvm().TscKhz()} * 1000;
  }
  bool HasX2Apic() override {
    constexpr uint32_t kFeatureLeaf = 1;
    constexpr uint32_t kX2Apic = 1U << 21;
    Vcpu* const vcpu = Vcpu::Current();
    return vcpu != nullptr && std::ranges::any_of(vcpu->cpuid(), [](const kvm_cpuid_entry2& entry) {
             return entry.function == kFeatureLeaf && (entry.ecx & kX2Apic) != 0;
           });
  }

 private:
  static bool Fetch(kvm_regs* regs) {
    Vcpu* const vcpu = Vcpu::Current();
    return vcpu != nullptr && vcpu->kvm().Get(KVM_GET_REGS, regs, "general registers").has_value();
  }
};

}  // namespace

std::shared_ptr<VcpuRegisters> KvmBoard::exit_registers() { return std::make_shared<ExitRegisters>(); }

}  // namespace nandu
