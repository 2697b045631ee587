// Debugging one vCPU through KVM: its registers, its virtual memory and what makes it stop. Each function is
// called while the vCPU is paused, or on its thread.
// Specification: Linux Documentation/virt/kvm/api.rst, "KVM_SET_GUEST_DEBUG", "KVM_TRANSLATE".
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "kvm/kvm_vcpu.h"
#include "vcpu/debug_types.h"

namespace nandu {

Result<CpuRegisters> ReadCpuRegisters(const KvmVcpu& vcpu);
// Segment selectors stay as they are: a different one is an error.
Result<> WriteCpuRegisters(KvmVcpu& vcpu, const CpuRegisters& registers);

struct DebugControl {
  bool software_breakpoints = false;  // int3 leaves the guest
  bool single_step = false;  // one instruction, and no interrupt before it where KVM can hold them back
  std::span<const HardwareBreakpoint> hardware;  // kHardwareBreakpoints at most
};
Result<> SetGuestDebug(KvmVcpu& vcpu, const DebugControl& control);

// The guest-physical address behind a virtual one, by the vCPU's page tables.
std::optional<uint64_t> TranslateVirtual(const KvmVcpu& vcpu, uint64_t address);

// The guest gets the exception after all: it was its own.
Result<> DeliverException(KvmVcpu& vcpu, uint32_t exception);

}  // namespace nandu
