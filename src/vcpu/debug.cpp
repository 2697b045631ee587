#include "vcpu/debug.h"

#include <algorithm>
#include <cstring>

#include "kvm/kvm.h"
#include "kvm/kvm_vm.h"

namespace nandu {
namespace {

constexpr uint32_t kTagEmpty = 3;

// The general registers in a debugger's order.
template <class Regs>
auto GeneralOf(Regs& regs) {
  return std::array{&regs.rax, &regs.rbx, &regs.rcx, &regs.rdx, &regs.rsi, &regs.rdi, &regs.rbp, &regs.rsp,
                    &regs.r8,  &regs.r9,  &regs.r10, &regs.r11, &regs.r12, &regs.r13, &regs.r14, &regs.r15};
}

std::array<uint32_t, 6> SelectorsOf(const kvm_sregs& sregs) {
  return {sregs.cs.selector, sregs.ss.selector, sregs.ds.selector,
          sregs.es.selector, sregs.fs.selector, sregs.gs.selector};
}

// The tag word has two bits a register; KVM keeps one, set where the register is in use.
uint32_t FullTags(uint8_t used) {
  uint32_t tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    tags |= (used >> i & 1) != 0 ? 0 : kTagEmpty << (2 * i);
  }
  return tags;
}

uint8_t UsedTags(uint32_t tags) {
  unsigned used = 0;
  for (unsigned i = 0; i < 8; ++i) {
    used |= (tags >> (2 * i) & kTagEmpty) != kTagEmpty ? 1U << i : 0;
  }
  return static_cast<uint8_t>(used);
}

void FromFpu(const kvm_fpu& fpu, CpuRegisters* to) {
  for (size_t i = 0; i < to->st.size(); ++i) {
    std::memcpy(to->st[i].data(), fpu.fpr[i], to->st[i].size());
  }
  for (size_t i = 0; i < to->xmm.size(); ++i) {
    std::memcpy(to->xmm[i].data(), fpu.xmm[i], to->xmm[i].size());
  }
  to->x87 = {fpu.fcw,
             fpu.fsw,
             FullTags(fpu.ftwx),
             static_cast<uint32_t>(fpu.last_ip >> 32),
             static_cast<uint32_t>(fpu.last_ip),
             static_cast<uint32_t>(fpu.last_dp >> 32),
             static_cast<uint32_t>(fpu.last_dp),
             fpu.last_opcode};
  to->mxcsr = fpu.mxcsr;
}

void ToFpu(const CpuRegisters& from, kvm_fpu* fpu) {
  for (size_t i = 0; i < from.st.size(); ++i) {
    std::memcpy(fpu->fpr[i], from.st[i].data(), from.st[i].size());
  }
  for (size_t i = 0; i < from.xmm.size(); ++i) {
    std::memcpy(fpu->xmm[i], from.xmm[i].data(), from.xmm[i].size());
  }
  const auto& x87 = from.x87;
  fpu->fcw = static_cast<uint16_t>(x87[0]);
  fpu->fsw = static_cast<uint16_t>(x87[1]);
  fpu->ftwx = UsedTags(x87[2]);
  fpu->last_ip = uint64_t{x87[3]} << 32 | x87[4];
  fpu->last_dp = uint64_t{x87[5]} << 32 | x87[6];
  fpu->last_opcode = static_cast<uint16_t>(x87[7]);
  fpu->mxcsr = from.mxcsr;
}

// DR7 (Intel SDM volume 3, 18.2.4): an enable bit, a condition and a length for each address register.
uint64_t EnableBits(size_t slot, const HardwareBreakpoint& breakpoint) {
  constexpr unsigned kConditions = 16;
  constexpr uint64_t kLengths[] = {0, 0, 1, 0, 3, 0, 0, 0, 2};  // by bytes
  const uint64_t condition = static_cast<uint64_t>(breakpoint.on) | kLengths[breakpoint.bytes & 0xf] << 2;
  return uint64_t{2} << (2 * slot) | condition << (kConditions + 4 * slot);
}

}  // namespace

Result<CpuRegisters> ReadCpuRegisters(const KvmVcpu& vcpu) {
  kvm_regs regs{};
  kvm_sregs sregs{};
  kvm_fpu fpu{};
  TRY(vcpu.Get(KVM_GET_REGS, &regs, "registers"));
  TRY(vcpu.Get(KVM_GET_SREGS, &sregs, "system registers"));
  TRY(vcpu.Get(KVM_GET_FPU, &fpu, "floating-point registers"));
  CpuRegisters out;
  const auto general = GeneralOf(regs);
  std::ranges::transform(general, out.gpr.begin(), [](const auto* value) { return *value; });
  out.rip = regs.rip;
  out.eflags = static_cast<uint32_t>(regs.rflags);
  out.segments = SelectorsOf(sregs);
  FromFpu(fpu, &out);
  out.fs_base = sregs.fs.base;
  out.gs_base = sregs.gs.base;
  out.cr0 = sregs.cr0;
  out.cr2 = sregs.cr2;
  out.cr3 = sregs.cr3;
  out.cr4 = sregs.cr4;
  out.cr8 = sregs.cr8;
  out.efer = sregs.efer;
  return out;
}

Result<> WriteCpuRegisters(KvmVcpu& vcpu, const CpuRegisters& registers) {
  const CpuRegisters before = TRY(ReadCpuRegisters(vcpu));
  if (registers.segments != before.segments) {
    return Fail(Errc::kUnsupported, "segment selectors cannot be written");
  }
  kvm_regs regs{};
  const auto general = GeneralOf(regs);
  for (size_t i = 0; i < general.size(); ++i) {
    *general[i] = registers.gpr[i];
  }
  regs.rip = registers.rip;
  regs.rflags = registers.eflags;
  TRY(vcpu.Set(KVM_SET_REGS, &regs, "registers"));
  kvm_sregs sregs{};
  TRY(vcpu.Get(KVM_GET_SREGS, &sregs, "system registers"));
  sregs.fs.base = registers.fs_base;
  sregs.gs.base = registers.gs_base;
  sregs.cr0 = registers.cr0;
  sregs.cr2 = registers.cr2;
  sregs.cr3 = registers.cr3;
  sregs.cr4 = registers.cr4;
  sregs.cr8 = registers.cr8;
  sregs.efer = registers.efer;
  TRY(vcpu.Set(KVM_SET_SREGS, &sregs, "system registers"));
  kvm_fpu fpu{};
  TRY(vcpu.Get(KVM_GET_FPU, &fpu, "floating-point registers"));
  ToFpu(registers, &fpu);
  return vcpu.Set(KVM_SET_FPU, &fpu, "floating-point registers");
}

Result<> SetGuestDebug(KvmVcpu& vcpu, const DebugControl& control) {
  kvm_guest_debug debug{};
  if (control.software_breakpoints) {
    debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
  }
  if (control.single_step) {
    debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    const auto flags = static_cast<uint32_t>(vcpu.vm().kvm().cap(KVM_CAP_SET_GUEST_DEBUG2));
    debug.control |= flags & KVM_GUESTDBG_BLOCKIRQ;
  }
  const size_t count = std::min(control.hardware.size(), kHardwareBreakpoints);
  if (count != 0) {
    constexpr uint64_t kExact = 0x600;  // DR7.GE, and bit 10, which is always set
    debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
    debug.arch.debugreg[7] = kExact;
    for (size_t slot = 0; slot < count; ++slot) {
      debug.arch.debugreg[slot] = control.hardware[slot].address;
      debug.arch.debugreg[7] |= EnableBits(slot, control.hardware[slot]);
    }
  }
  return vcpu.Set(KVM_SET_GUEST_DEBUG, &debug, "KVM_SET_GUEST_DEBUG");
}

std::optional<uint64_t> TranslateVirtual(const KvmVcpu& vcpu, uint64_t address) {
  kvm_translation translation{};
  translation.linear_address = address;
  if (!vcpu.Get(KVM_TRANSLATE, &translation, "KVM_TRANSLATE") || translation.valid == 0) {
    return std::nullopt;
  }
  return translation.physical_address;
}

Result<> DeliverException(KvmVcpu& vcpu, uint32_t exception) {
  kvm_vcpu_events events{};
  TRY(vcpu.Get(KVM_GET_VCPU_EVENTS, &events, "events"));
  events.exception.injected = 1;
  events.exception.nr = static_cast<uint8_t>(exception);
  events.exception.has_error_code = 0;
  return vcpu.Set(KVM_SET_VCPU_EVENTS, &events, "events");
}

}  // namespace nandu
