#include "vcpu/boot_registers.h"

namespace nandu {
namespace {

constexpr uint64_t kCr0Pe = 1;
constexpr uint64_t kCr0Et = 1U << 4;
constexpr uint64_t kCr0Pg = uint64_t{1} << 31;
constexpr uint64_t kCr4Pae = 1U << 5;
constexpr uint64_t kEferLme = 1U << 8;
constexpr uint64_t kEferLma = 1U << 10;
constexpr uint64_t kRflagsFixed = 2;

constexpr uint8_t kCodeAccessed = 0xb;  // execute, read, accessed
constexpr uint8_t kDataAccessed = 0x3;  // read, write, accessed
constexpr uint8_t kBusyTss32 = 0xb;

kvm_segment Flat(uint16_t selector, uint8_t type) {
  kvm_segment segment{};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.s = 1;
  segment.g = 1;
  return segment;
}

}  // namespace

void ApplyBootRegisters(const BootRegisters& boot, kvm_regs* regs, kvm_sregs* sregs) {
  if (boot.mode == BootRegisters::Mode::kResetVector) {
    return;
  }
  *regs = {};
  regs->rip = boot.rip;
  regs->rax = boot.rax;
  regs->rsp = boot.rsp;
  regs->rbx = boot.rbx;
  regs->rsi = boot.rsi;
  regs->rflags = kRflagsFixed;  // interrupts off, direction up

  const bool long_mode = boot.mode == BootRegisters::Mode::kLong64;
  sregs->cs = Flat(boot.code_selector, kCodeAccessed);
  sregs->cs.l = long_mode ? 1 : 0;
  sregs->cs.db = long_mode ? 0 : 1;
  kvm_segment data = Flat(boot.data_selector, kDataAccessed);
  data.db = 1;
  sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
  // A 32-bit TSS as PVH asks for; in long mode the same type is a 64-bit one.
  sregs->tr = {};
  sregs->tr.limit = 0x67;
  sregs->tr.type = kBusyTss32;
  sregs->tr.present = 1;
  sregs->ldt = {};
  sregs->ldt.unusable = 1;
  sregs->ldt.type = 2;
  sregs->gdt.base = boot.gdt_base;
  sregs->gdt.limit = boot.gdt_limit;
  sregs->idt = {};
  sregs->cr0 = kCr0Pe | kCr0Et;
  if (long_mode) {
    sregs->cr0 |= kCr0Pg;
    sregs->cr3 = boot.cr3;
    sregs->cr4 |= kCr4Pae;
    sregs->efer |= kEferLme | kEferLma;
  }
}

}  // namespace nandu
