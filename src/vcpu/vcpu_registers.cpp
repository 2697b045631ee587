// Conversions between KVM's register structures and the described ones, and their text for the log.
#include <string>

#include "base/format.h"
#include "vcpu/vcpu_transfer.h"

namespace nandu {
namespace {

SegmentState FromKvm(const kvm_segment& from) {
  SegmentState to;
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = from.type;
  to.present = from.present;
  to.dpl = from.dpl;
  to.db = from.db;
  to.s = from.s;
  to.l = from.l;
  to.g = from.g;
  to.avl = from.avl;
  to.unusable = from.unusable;
  return to;
}

kvm_segment ToKvm(const SegmentState& from) {
  kvm_segment to{};
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = from.type;
  to.present = from.present;
  to.dpl = from.dpl;
  to.db = from.db;
  to.s = from.s;
  to.l = from.l;
  to.g = from.g;
  to.avl = from.avl;
  to.unusable = from.unusable;
  return to;
}

kvm_dtable ToKvm(const TableState& from) {
  kvm_dtable to{};
  to.base = from.base;
  to.limit = from.limit;
  return to;
}

// kvm_sregs and kvm_sregs2 share these members.
template <class Kernel>
void CopyToKvm(const SystemRegisters& from, Kernel* to) {
  to->cs = ToKvm(from.cs);
  to->ds = ToKvm(from.ds);
  to->es = ToKvm(from.es);
  to->fs = ToKvm(from.fs);
  to->gs = ToKvm(from.gs);
  to->ss = ToKvm(from.ss);
  to->tr = ToKvm(from.tr);
  to->ldt = ToKvm(from.ldt);
  to->gdt = ToKvm(from.gdt);
  to->idt = ToKvm(from.idt);
  to->cr0 = from.cr0;
  to->cr2 = from.cr2;
  to->cr3 = from.cr3;
  to->cr4 = from.cr4;
  to->cr8 = from.cr8;
  to->efer = from.efer;
  to->apic_base = from.apic_base;
}

template <class Kernel>
SystemRegisters CopyFromKvm(const Kernel& from) {
  SystemRegisters to;
  to.cs = FromKvm(from.cs);
  to.ds = FromKvm(from.ds);
  to.es = FromKvm(from.es);
  to.fs = FromKvm(from.fs);
  to.gs = FromKvm(from.gs);
  to.ss = FromKvm(from.ss);
  to.tr = FromKvm(from.tr);
  to.ldt = FromKvm(from.ldt);
  to.gdt = {from.gdt.base, from.gdt.limit};
  to.idt = {from.idt.base, from.idt.limit};
  to.cr0 = from.cr0;
  to.cr2 = from.cr2;
  to.cr3 = from.cr3;
  to.cr4 = from.cr4;
  to.cr8 = from.cr8;
  to.efer = from.efer;
  to.apic_base = from.apic_base;
  return to;
}

std::string SegmentText(const char* name, const kvm_segment& segment) {
  return Format("\n  {} {:04x} base {:016x} limit {:08x} type {:x} dpl {} {}", name, segment.selector,
                segment.base, segment.limit, segment.type, segment.dpl,
                segment.l != 0    ? "64"
                : segment.db != 0 ? "32"
                                  : "16");
}

}  // namespace

kvm_regs ToKvm(const GeneralRegisters& from) {
  kvm_regs to{};
  to.rax = from.rax;
  to.rbx = from.rbx;
  to.rcx = from.rcx;
  to.rdx = from.rdx;
  to.rsi = from.rsi;
  to.rdi = from.rdi;
  to.rsp = from.rsp;
  to.rbp = from.rbp;
  to.r8 = from.r8;
  to.r9 = from.r9;
  to.r10 = from.r10;
  to.r11 = from.r11;
  to.r12 = from.r12;
  to.r13 = from.r13;
  to.r14 = from.r14;
  to.r15 = from.r15;
  to.rip = from.rip;
  to.rflags = from.rflags;
  return to;
}

GeneralRegisters FromKvm(const kvm_regs& from) {
  GeneralRegisters to;
  to.rax = from.rax;
  to.rbx = from.rbx;
  to.rcx = from.rcx;
  to.rdx = from.rdx;
  to.rsi = from.rsi;
  to.rdi = from.rdi;
  to.rsp = from.rsp;
  to.rbp = from.rbp;
  to.r8 = from.r8;
  to.r9 = from.r9;
  to.r10 = from.r10;
  to.r11 = from.r11;
  to.r12 = from.r12;
  to.r13 = from.r13;
  to.r14 = from.r14;
  to.r15 = from.r15;
  to.rip = from.rip;
  to.rflags = from.rflags;
  return to;
}

kvm_sregs ToKvm(const SystemRegisters& sregs) {
  kvm_sregs to{};
  CopyToKvm(sregs, &to);
  return to;
}

kvm_sregs2 ToKvm2(const SystemRegisters& sregs) {
  kvm_sregs2 to{};
  CopyToKvm(sregs, &to);
  if (sregs.pdptrs) {
    to.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
    for (size_t i = 0; i < sregs.pdptrs->size(); ++i) {
      to.pdptrs[i] = (*sregs.pdptrs)[i];
    }
  }
  return to;
}

SystemRegisters FromKvm(const kvm_sregs& sregs) { return CopyFromKvm(sregs); }

SystemRegisters FromKvm(const kvm_sregs2& sregs) {
  SystemRegisters to = CopyFromKvm(sregs);
  if ((sregs.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) {
    to.pdptrs.emplace();
    for (size_t i = 0; i < to.pdptrs->size(); ++i) {
      (*to.pdptrs)[i] = sregs.pdptrs[i];
    }
  }
  return to;
}

std::string DumpRegisters(const KvmVcpu& vcpu) {
  kvm_regs r{};
  kvm_sregs s{};
  if (!vcpu.Get(KVM_GET_REGS, &r, "registers") || !vcpu.Get(KVM_GET_SREGS, &s, "system registers")) {
    return "registers cannot be read";
  }
  std::string text = Format(
      "rip {:016x} rflags {:08x}\n  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}"
      "\n  rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}\n  r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}"
      "\n  r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}",
      r.rip, r.rflags, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
      r.r12, r.r13, r.r14, r.r15);
  text += Format("\n  cr0 {:08x} cr2 {:016x} cr3 {:016x} cr4 {:08x} cr8 {:x} efer {:x} apic base {:x}", s.cr0,
                 s.cr2, s.cr3, s.cr4, s.cr8, s.efer, s.apic_base);
  text += SegmentText("cs ", s.cs) + SegmentText("ss ", s.ss) + SegmentText("ds ", s.ds) +
          SegmentText("es ", s.es);
  text += SegmentText("fs ", s.fs) + SegmentText("gs ", s.gs) + SegmentText("tr ", s.tr) +
          SegmentText("ldt", s.ldt);
  text +=
      Format("\n  gdt {:016x} {:04x} idt {:016x} {:04x}", s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit);
  return text;
}

}  // namespace nandu
