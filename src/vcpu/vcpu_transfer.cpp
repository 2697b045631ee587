#include "vcpu/vcpu_transfer.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/log.h"
#include "kvm/kvm_vm.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr size_t kLapicStride = 16;  // bytes between registers (SDM 10.4.1)
constexpr uint32_t kEcxVmx = 1U << 5;
constexpr uint32_t kEcxSvm = 1U << 2;
constexpr size_t kLegacyXsaveBytes = 4096;
// A guest notices when its TSC runs at another rate; NTP-like differences are within tolerance, as KVM's own.
constexpr uint32_t kTscTolerancePpm = 250;

// Buffers the kernel fills or reads as 64-bit words.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : words_((bytes + 7) / 8) {}
  void* data() { return words_.data(); }
  const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(words_.data()); }
  size_t size() const { return words_.size() * 8; }
  template <class T>
  T* As() {
    return reinterpret_cast<T*>(words_.data());
  }

 private:
  std::vector<uint64_t> words_;
};

size_t XsaveBytes(const KvmVm& vm) {
  const int size = vm.cap(KVM_CAP_XSAVE2);
  return std::max(kLegacyXsaveBytes, size > 0 ? static_cast<size_t>(size) : 0);
}

bool HasNested(std::span<const CpuidEntry> cpuid) {
  return std::any_of(cpuid.begin(), cpuid.end(), [](const CpuidEntry& entry) {
    return (entry.function == 1 && (entry.ecx & kEcxVmx) != 0) ||
           (entry.function == 0x80000001 && (entry.ecx & kEcxSvm) != 0);
  });
}

VcpuEventState EventsFromKvm(const kvm_vcpu_events& from) {
  VcpuEventState to;
  to.flags = from.flags;
  to.exception_injected = from.exception.injected != 0;
  to.exception_pending = from.exception.pending != 0;
  to.exception_has_error_code = from.exception.has_error_code != 0;
  to.exception_vector = from.exception.nr;
  to.exception_error_code = from.exception.error_code;
  to.exception_has_payload = from.exception_has_payload != 0;
  to.exception_payload = from.exception_payload;
  to.interrupt_injected = from.interrupt.injected != 0;
  to.interrupt_soft = from.interrupt.soft != 0;
  to.interrupt_vector = from.interrupt.nr;
  to.interrupt_shadow = from.interrupt.shadow;
  to.nmi_injected = from.nmi.injected != 0;
  to.nmi_masked = from.nmi.masked != 0;
  to.nmi_pending = from.nmi.pending;
  to.sipi_vector = from.sipi_vector;
  to.smm = from.smi.smm != 0;
  to.smm_pending = from.smi.pending != 0;
  to.smm_inside_nmi = from.smi.smm_inside_nmi != 0;
  to.smm_latched_init = from.smi.latched_init != 0;
  to.triple_fault_pending = from.triple_fault.pending != 0;
  return to;
}

kvm_vcpu_events EventsToKvm(const VcpuEventState& from, const KvmVm& vm) {
  kvm_vcpu_events to{};
  uint32_t known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
                   KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
  known |= vm.has(KVM_CAP_EXCEPTION_PAYLOAD) ? KVM_VCPUEVENT_VALID_PAYLOAD : 0U;
  known |= vm.has(KVM_CAP_X86_TRIPLE_FAULT_EVENT) ? KVM_VCPUEVENT_VALID_TRIPLE_FAULT : 0U;
  to.flags = from.flags & known;
  to.exception.injected = from.exception_injected;
  to.exception.pending = from.exception_pending;
  to.exception.has_error_code = from.exception_has_error_code;
  to.exception.nr = from.exception_vector;
  to.exception.error_code = from.exception_error_code;
  to.exception_has_payload = from.exception_has_payload;
  to.exception_payload = from.exception_payload;
  to.interrupt.injected = from.interrupt_injected;
  to.interrupt.soft = from.interrupt_soft;
  to.interrupt.nr = from.interrupt_vector;
  to.interrupt.shadow = from.interrupt_shadow;
  to.nmi.injected = from.nmi_injected;
  to.nmi.masked = from.nmi_masked;
  to.nmi.pending = from.nmi_pending;
  to.sipi_vector = from.sipi_vector;
  to.smi.smm = from.smm;
  to.smi.pending = from.smm_pending;
  to.smi.smm_inside_nmi = from.smm_inside_nmi;
  to.smi.latched_init = from.smm_latched_init;
  to.triple_fault.pending = from.triple_fault_pending;
  return to;
}

Result<SystemRegisters> GetSystemRegisters(const KvmVcpu& vcpu) {
  if (vcpu.vm().has(KVM_CAP_SREGS2)) {
    kvm_sregs2 raw{};
    TRY(vcpu.Get(KVM_GET_SREGS2, &raw, "KVM_GET_SREGS2"));
    return FromKvm(raw);
  }
  kvm_sregs raw{};
  TRY(vcpu.Get(KVM_GET_SREGS, &raw, "KVM_GET_SREGS"));
  return FromKvm(raw);
}

Result<> SetSystemRegisters(KvmVcpu& vcpu, const SystemRegisters& sregs) {
  if (vcpu.vm().has(KVM_CAP_SREGS2)) {
    const kvm_sregs2 raw = ToKvm2(sregs);
    return vcpu.Set(KVM_SET_SREGS2, &raw, "KVM refuses the system registers");
  }
  const kvm_sregs raw = ToKvm(sregs);
  return vcpu.Set(KVM_SET_SREGS, &raw, "KVM refuses the system registers");
}

Result<std::vector<std::byte>> GetXsave(const KvmVcpu& vcpu) {
  AlignedBytes buffer(XsaveBytes(vcpu.vm()));
  const bool large = vcpu.vm().has(KVM_CAP_XSAVE2);
  TRY(vcpu.Get(large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, buffer.data(), "KVM_GET_XSAVE"));
  std::vector<std::byte> bytes(buffer.bytes(), buffer.bytes() + buffer.size());
  while (!bytes.empty() && bytes.back() == std::byte{0}) {
    bytes.pop_back();
  }
  return bytes;
}

Result<> SetXsave(KvmVcpu& vcpu, std::span<const std::byte> bytes) {
  AlignedBytes buffer(XsaveBytes(vcpu.vm()));
  if (bytes.size() > buffer.size()) {
    return Fail(Errc::kUnsupported, "the saved vCPU has {} bytes of extended state; this host's KVM holds {}",
                bytes.size(), buffer.size());
  }
  if (!bytes.empty()) {
    std::memcpy(buffer.data(), bytes.data(), bytes.size());
  }
  return vcpu.Set(KVM_SET_XSAVE, buffer.data(), "KVM refuses the extended state");
}

Result<std::vector<std::byte>> GetNested(const KvmVcpu& vcpu) {
  const int size = vcpu.vm().cap(KVM_CAP_NESTED_STATE);
  if (size <= 0) {
    return std::vector<std::byte>();
  }
  AlignedBytes buffer(std::max(static_cast<size_t>(size), sizeof(kvm_nested_state)));
  buffer.As<kvm_nested_state>()->size = static_cast<uint32_t>(size);
  TRY(vcpu.Get(KVM_GET_NESTED_STATE, buffer.data(), "KVM_GET_NESTED_STATE"));
  const size_t used = std::min<size_t>(buffer.As<kvm_nested_state>()->size, buffer.size());
  return std::vector<std::byte>(buffer.bytes(), buffer.bytes() + used);
}

Result<> SetNested(KvmVcpu& vcpu, std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return {};
  }
  const int size = vcpu.vm().cap(KVM_CAP_NESTED_STATE);
  if (size <= 0 || bytes.size() > static_cast<size_t>(size) || bytes.size() < sizeof(kvm_nested_state)) {
    return Fail(Errc::kUnsupported,
                "the saved vCPU runs a nested guest; this host's KVM cannot take its state over");
  }
  AlignedBytes buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  buffer.As<kvm_nested_state>()->size = static_cast<uint32_t>(bytes.size());
  return vcpu.Set(KVM_SET_NESTED_STATE, buffer.data(), "KVM refuses the nested guest's state");
}

Result<> SetMsrs(KvmVcpu& vcpu, const VcpuState& state, LoadKind kind) {
  std::vector<kvm_msr_entry> entries;
  entries.reserve(state.msrs.size());
  for (const MsrState& from : state.msrs) {
    const bool by_offset =
        from.index == msr::kTsc && kind == LoadKind::kSameHost && state.tsc_offset.has_value();
    if (from.index == msr::kTscDeadline || by_offset) {
      continue;
    }
    kvm_msr_entry entry{};
    entry.index = from.index;
    entry.data = from.index == msr::kTsc && kind == LoadKind::kReset ? 0 : from.value;
    entries.push_back(entry);
  }
  for (const uint32_t refused : SetMsrsTolerantly(vcpu, entries)) {
    Log(LogLevel::kWarning, "vCPU {}: KVM does not take MSR {:#x} as it was saved", vcpu.id(), refused);
  }
  return {};
}

void SetOne(KvmVcpu& vcpu, const VcpuState& state, uint32_t index) {
  for (const MsrState& from : state.msrs) {
    if (from.index == index) {
      kvm_msr_entry entry{};
      entry.index = index;
      entry.data = from.value;
      SetMsrsTolerantly(vcpu, {&entry, 1});
    }
  }
}

}  // namespace

Result<> SetTscFrequency(KvmVcpu& vcpu, uint32_t khz) {
  const uint32_t here = vcpu.TscKhz();
  if (khz == 0 || here == 0) {
    return {};
  }
  const uint64_t difference = khz > here ? khz - here : here - khz;
  if (difference * 1'000'000 <= uint64_t{here} * kTscTolerancePpm) {
    return {};
  }
  if (!vcpu.vm().has(KVM_CAP_TSC_CONTROL)) {
    return Fail(Errc::kUnsupported,
                "this host's TSC runs at {} kHz and cannot be scaled to {} kHz: leave tsc-frequency out, or "
                "use a host "
                "of that frequency",
                here, khz);
  }
  return vcpu.SetTscKhz(khz);
}

Result<> Validate(const VcpuState& state) {
  if (state.cpuid.size() > VcpuState::kMaxCpuid || state.msrs.size() > VcpuState::kMaxMsrs ||
      state.xsave.size() > VcpuState::kMaxXsaveBytes || state.nested.size() > VcpuState::kMaxNestedBytes ||
      state.parked_writes.size() > VcpuState::kMaxParkedWrites || state.xcrs.size() > KVM_MAX_XCRS ||
      state.external_vectors.size() > VcpuState::kMaxExternalVectors) {
    return Fail(Errc::kCorrupt, "vCPU {}: its saved state is larger than any vCPU's", state.apic_id);
  }
  for (const ParkedWrite& write : state.parked_writes) {
    const bool port = write.space == ExitSpace::kPorts;
    if (write.size < 1 || write.size > (port ? 4 : 8) || (port && write.address > 0xffff)) {
      return Fail(Errc::kCorrupt, "vCPU {}: a parked write of {} bytes at {:#x} is none a vCPU makes",
                  state.apic_id, write.size, write.address);
    }
  }
  return {};
}

Result<VcpuState> SaveVcpu(const KvmVcpu& vcpu, std::vector<uint32_t>* msrs) {
  VcpuState state;
  state.apic_id = vcpu.id();
  // Taking the MP state makes KVM act on a pending INIT or SIPI, so it comes before the registers.
  kvm_mp_state mp_state{};
  TRY(vcpu.Get(KVM_GET_MP_STATE, &mp_state, "KVM_GET_MP_STATE"));
  state.mp_state = mp_state.mp_state;
  kvm_regs regs{};
  TRY(vcpu.Get(KVM_GET_REGS, &regs, "KVM_GET_REGS"));
  state.regs = FromKvm(regs);
  state.sregs = TRY(GetSystemRegisters(vcpu));
  state.xsave = TRY(GetXsave(vcpu));
  if (vcpu.vm().has(KVM_CAP_XCRS)) {  // not on a host without XSAVE
    kvm_xcrs xcrs{};
    TRY(vcpu.Get(KVM_GET_XCRS, &xcrs, "KVM_GET_XCRS"));
    for (uint32_t i = 0; i < std::min<uint32_t>(xcrs.nr_xcrs, KVM_MAX_XCRS); ++i) {
      state.xcrs.push_back({xcrs.xcrs[i].xcr, xcrs.xcrs[i].value});
    }
  }
  kvm_debugregs debug{};
  TRY(vcpu.Get(KVM_GET_DEBUGREGS, &debug, "KVM_GET_DEBUGREGS"));
  std::copy(std::begin(debug.db), std::end(debug.db), state.debug.db.begin());
  state.debug.dr6 = debug.dr6;
  state.debug.dr7 = debug.dr7;
  kvm_vcpu_events events{};
  TRY(vcpu.Get(KVM_GET_VCPU_EVENTS, &events, "KVM_GET_VCPU_EVENTS"));
  state.events = EventsFromKvm(events);
  kvm_lapic_state lapic{};
  TRY(vcpu.Get(KVM_GET_LAPIC, &lapic, "KVM_GET_LAPIC"));
  for (size_t i = 0; i < state.lapic.size(); ++i) {
    std::memcpy(&state.lapic[i], lapic.regs + i * kLapicStride, sizeof(uint32_t));
  }
  for (const kvm_msr_entry& entry : GetMsrsTolerantly(vcpu, msrs)) {
    state.msrs.push_back({entry.index, entry.data});
  }
  state.tsc_khz = vcpu.TscKhz();
  if (vcpu.HasTscOffset()) {
    state.tsc_offset = TRY(vcpu.TscOffset());
  }
  return state;
}

Result<> SaveNested(const KvmVcpu& vcpu, VcpuState* state) {
  if (HasNested(state->cpuid)) {
    state->nested = TRY(GetNested(vcpu));
  }
  return {};
}

Result<> LoadVcpu(KvmVcpu& vcpu, const VcpuState& state, LoadKind kind) {
  TRY(Validate(state));
  if (kind != LoadKind::kReset) {
    if (const Result<> set = SetTscFrequency(vcpu, state.tsc_khz); !set) {
      Log(LogLevel::kWarning, "vCPU {}: {}; the guest's clock may step", vcpu.id(), set.error().message);
    }
    std::vector<kvm_cpuid_entry2> cpuid(state.cpuid.size());
    for (size_t i = 0; i < cpuid.size(); ++i) {
      const CpuidEntry& from = state.cpuid[i];
      cpuid[i] = {from.function, from.index, from.flags, from.eax, from.ebx, from.ecx, from.edx, {}};
    }
    TRY(vcpu.SetCpuid(cpuid));
  }
  SetOne(vcpu, state, msr::kFeatureControl);  // allows VMX before CR4.VMXE and the nested state ask for it
  TRY(SetSystemRegisters(vcpu, state.sregs));
  TRY(SetNested(vcpu, state.nested));
  const kvm_regs regs = ToKvm(state.regs);
  TRY(vcpu.Set(KVM_SET_REGS, &regs, "KVM refuses the registers"));
  TRY(SetXsave(vcpu, state.xsave));
  if (!state.xcrs.empty()) {
    kvm_xcrs xcrs{};
    xcrs.nr_xcrs = static_cast<uint32_t>(state.xcrs.size());
    for (size_t i = 0; i < state.xcrs.size(); ++i) {
      xcrs.xcrs[i] = {state.xcrs[i].xcr, 0, state.xcrs[i].value};
    }
    TRY(vcpu.Set(KVM_SET_XCRS, &xcrs, "KVM refuses the extended control registers"));
  }
  kvm_debugregs debug{};
  std::copy(state.debug.db.begin(), state.debug.db.end(), std::begin(debug.db));
  debug.dr6 = state.debug.dr6;
  debug.dr7 = state.debug.dr7;
  TRY(vcpu.Set(KVM_SET_DEBUGREGS, &debug, "KVM refuses the debug registers"));
  TRY(SetMsrs(vcpu, state, kind));
  kvm_lapic_state lapic{};
  for (size_t i = 0; i < state.lapic.size(); ++i) {
    std::memcpy(lapic.regs + i * kLapicStride, &state.lapic[i], sizeof(uint32_t));
  }
  TRY(vcpu.Set(KVM_SET_LAPIC, &lapic, "KVM refuses the local APIC"));
  const kvm_vcpu_events events = EventsToKvm(state.events, vcpu.vm());
  TRY(vcpu.Set(KVM_SET_VCPU_EVENTS, &events, "KVM refuses the pending events"));
  const kvm_mp_state mp_state{state.mp_state};
  TRY(vcpu.Set(KVM_SET_MP_STATE, &mp_state, "KVM refuses the multiprocessor state"));
  if (kind == LoadKind::kSameHost && state.tsc_offset && vcpu.HasTscOffset()) {
    TRY(vcpu.SetTscOffset(*state.tsc_offset));
  }
  SetOne(vcpu, state, msr::kTscDeadline);  // last: it arms a timer that needs the TSC and the APIC
  return {};
}

}  // namespace nandu
