// Everything one vCPU holds, as plain structs: saved on a paused vCPU, validated and loaded into a fresh one.
// Specification: Linux Documentation/virt/kvm/api.rst, the "vcpu ioctl" entries named at each struct; Intel
// SDM volume 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

struct CpuidEntry {
  uint32_t function = 0;
  uint32_t index = 0;
  uint32_t flags = 0;
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  bool operator==(const CpuidEntry&) const = default;
};
BOOST_DESCRIBE_STRUCT(CpuidEntry, (), (function, index, flags, eax, ebx, ecx, edx))

struct GeneralRegisters {  // KVM_GET_REGS
  uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t rip = 0, rflags = 2;
  bool operator==(const GeneralRegisters&) const = default;
};
BOOST_DESCRIBE_STRUCT(GeneralRegisters, (),
                      (rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip,
                       rflags))

struct SegmentState {
  uint64_t base = 0;
  uint32_t limit = 0;
  uint16_t selector = 0;
  uint8_t type = 0, present = 0, dpl = 0, db = 0, s = 0, l = 0, g = 0, avl = 0, unusable = 0;
  bool operator==(const SegmentState&) const = default;
};
BOOST_DESCRIBE_STRUCT(SegmentState, (),
                      (base, limit, selector, type, present, dpl, db, s, l, g, avl, unusable))

struct TableState {
  uint64_t base = 0;
  uint16_t limit = 0;
  bool operator==(const TableState&) const = default;
};
BOOST_DESCRIBE_STRUCT(TableState, (), (base, limit))

struct SystemRegisters {  // KVM_GET_SREGS2, or KVM_GET_SREGS without the page directory pointers
  SegmentState cs, ds, es, fs, gs, ss, tr, ldt;
  TableState gdt, idt;
  uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0, efer = 0, apic_base = 0;
  std::optional<std::array<uint64_t, 4>> pdptrs;  // PAE paging only
  bool operator==(const SystemRegisters&) const = default;
};
BOOST_DESCRIBE_STRUCT(SystemRegisters, (),
                      (cs, ds, es, fs, gs, ss, tr, ldt, gdt, idt, cr0, cr2, cr3, cr4, cr8, efer, apic_base,
                       pdptrs))

struct XcrState {
  uint32_t xcr = 0;
  uint64_t value = 0;
  bool operator==(const XcrState&) const = default;
};
BOOST_DESCRIBE_STRUCT(XcrState, (), (xcr, value))

struct DebugRegisters {  // KVM_GET_DEBUGREGS
  std::array<uint64_t, 4> db{};
  uint64_t dr6 = 0, dr7 = 0;
  bool operator==(const DebugRegisters&) const = default;
};
BOOST_DESCRIBE_STRUCT(DebugRegisters, (), (db, dr6, dr7))

struct VcpuEventState {  // KVM_GET_VCPU_EVENTS: what is about to be delivered
  uint32_t flags = 0;
  bool exception_injected = false, exception_pending = false, exception_has_error_code = false;
  uint8_t exception_vector = 0;
  uint32_t exception_error_code = 0;
  bool exception_has_payload = false;
  uint64_t exception_payload = 0;
  bool interrupt_injected = false, interrupt_soft = false;
  uint8_t interrupt_vector = 0, interrupt_shadow = 0;
  bool nmi_injected = false, nmi_masked = false;
  uint8_t nmi_pending = 0;
  uint32_t sipi_vector = 0;
  bool smm = false, smm_pending = false, smm_inside_nmi = false, smm_latched_init = false;
  bool triple_fault_pending = false;
  bool operator==(const VcpuEventState&) const = default;
};
BOOST_DESCRIBE_STRUCT(VcpuEventState, (),
                      (flags, exception_injected, exception_pending, exception_has_error_code,
                       exception_vector, exception_error_code, exception_has_payload, exception_payload,
                       interrupt_injected, interrupt_soft, interrupt_vector, interrupt_shadow, nmi_injected,
                       nmi_masked, nmi_pending, sipi_vector, smm, smm_pending, smm_inside_nmi,
                       smm_latched_init, triple_fault_pending))

struct MsrState {
  uint32_t index = 0;
  uint64_t value = 0;
  bool operator==(const MsrState&) const = default;
};
BOOST_DESCRIBE_STRUCT(MsrState, (), (index, value))

enum class ExitSpace : uint8_t { kMemory, kPorts };
BOOST_DESCRIBE_ENUM(ExitSpace, kMemory, kPorts)

// A register write whose handler answered "parked" and that was not over when the vCPU was paused, or that
// the guest made behind one. Done again, in order, when the vCPU runs on.
struct ParkedWrite {
  ExitSpace space = ExitSpace::kMemory;
  uint64_t address = 0;
  uint8_t size = 1;
  uint64_t value = 0;
  bool operator==(const ParkedWrite&) const = default;
};
BOOST_DESCRIBE_STRUCT(ParkedWrite, (), (space, address, size, value))

struct VcpuState {
  static constexpr size_t kMaxCpuid = 1024;
  static constexpr size_t kMaxMsrs = 4096;
  static constexpr size_t kMaxXsaveBytes = 64 * 1024;
  static constexpr size_t kMaxNestedBytes = 64 * 1024;
  static constexpr size_t kMaxParkedWrites = 8192;
  static constexpr size_t kMaxExternalVectors = 2;

  uint32_t apic_id = 0;
  std::vector<CpuidEntry> cpuid;  // as it was set; a destination's must be the same
  GeneralRegisters regs;
  SystemRegisters sregs;
  std::vector<std::byte> xsave;  // KVM_GET_XSAVE2; trailing zeros left out
  std::vector<XcrState> xcrs;
  DebugRegisters debug;
  VcpuEventState events;
  uint32_t mp_state = 0;               // KVM_MP_STATE_*
  std::array<uint32_t, 64> lapic{};    // one 32-bit register each 16 bytes (SDM 10.4.1)
  std::vector<std::byte> nested;       // KVM_GET_NESTED_STATE; empty: none
  std::vector<MsrState> msrs;          // those KVM listed and the model names; TSC included
  uint32_t tsc_khz = 0;                // 0: unknown
  std::optional<uint64_t> tsc_offset;  // against the host's TSC: for a load on the same host only
  std::vector<ParkedWrite> parked_writes;
  // Of the 8259s, where KVM does not have them: acknowledged, and not delivered yet.
  std::vector<uint8_t> external_vectors;
  bool operator==(const VcpuState&) const = default;
};
BOOST_DESCRIBE_STRUCT(VcpuState, (),
                      (apic_id, cpuid, regs, sregs, xsave, xcrs, debug, events, mp_state, lapic, nested, msrs,
                       tsc_khz, tsc_offset, parked_writes, external_vectors))
Result<> Validate(const VcpuState& state);

}  // namespace nandu
