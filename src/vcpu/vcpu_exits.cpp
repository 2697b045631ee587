// What a guest's exits ask for. On the vCPU's thread.
// Specification: Linux Documentation/virt/kvm/api.rst, "The kvm_run structure".
#include <cstring>

#include "base/format.h"
#include "base/log.h"
#include "vcpu/debug.h"
#include "vcpu/vcpu.h"

namespace nandu {
namespace {

constexpr uint64_t kCr0Pe = 1;

const char* InternalErrorText(uint32_t suberror) {
  switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION: return "KVM cannot emulate the guest's instruction";
    case KVM_INTERNAL_ERROR_SIMUL_EX: return "an exception arose while another was being delivered";
    case KVM_INTERNAL_ERROR_DELIVERY_EV: return "KVM cannot deliver an event to the guest";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: return "the CPU left the guest for an unknown reason";
    default: return "KVM met an internal error";
  }
}

}  // namespace

void Vcpu::ServeExit() {
  const kvm_run& run = *kvm_->run();
  switch (run.exit_reason) {
    case KVM_EXIT_IO: ServePorts(); return;
    case KVM_EXIT_MMIO: ServeMemory(); return;
    case KVM_EXIT_IOAPIC_EOI: ServeIoApicEoi(); return;
    // What they tell is looked at before each entry, or served by KVM.
    case KVM_EXIT_INTR:
    case KVM_EXIT_NMI:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_TPR_ACCESS: counters_.ignored.Add(); return;
    case KVM_EXIT_SHUTDOWN:
      StopSelf();  // first: a reset that is over before this thread looks again must not be undone
      observer_.OnTripleFault(config_.index);
      return;
    case KVM_EXIT_SYSTEM_EVENT: ServeSystemEvent(); return;
    case KVM_EXIT_DEBUG: ServeDebug(); return;
    case KVM_EXIT_HYPERV: ServeHyperV(); return;
    case KVM_EXIT_INTERNAL_ERROR: ServeInternalError(); return;
    case KVM_EXIT_FAIL_ENTRY:
      GiveUp(Format("the CPU refuses to enter the guest: hardware reason {:#x} on host CPU {}",
                    run.fail_entry.hardware_entry_failure_reason, run.fail_entry.cpu));
      return;
    case KVM_EXIT_UNKNOWN:
      GiveUp(Format("the CPU left the guest for the unknown reason {:#x}", run.hw.hardware_exit_reason));
      return;
    default:
      GiveUp(Format("KVM left the guest for a reason nandu did not ask for: {}", run.exit_reason));
      return;
  }
}

void Vcpu::ServeIoApicEoi() {
  if (external_ == nullptr) {
    counters_.ignored.Add();
    return;
  }
  external_->EndOfInterrupt(kvm_->run()->eoi.vector);
}

void Vcpu::ServePorts() {
  counters_.port_exits.Add();
  offered_.reset();  // the guest has executed since: what it was offered has arrived
  const auto& io = kvm_->run()->io;
  // A string instruction comes as up to a page of elements at once.
  const std::span<std::byte> data = kvm_->IoData();
  const unsigned size = io.size;
  if (size != 1 && size != 2 && size != 4) {
    counters_.ignored.Add();
    return;
  }
  const uint16_t port = io.port;
  const bool in = io.direction == KVM_EXIT_IO_IN;
  if (in && !parked_writes_.empty()) {
    counters_.disordered.Add();
  }
  for (size_t at = 0; at + size <= data.size(); at += size) {
    uint32_t value = 0;
    if (in) {
      value = static_cast<uint32_t>(ports_.Read(port, size));
      std::memcpy(&data[at], &value, size);
    } else {
      std::memcpy(&value, &data[at], size);
      Write({ExitSpace::kPorts, port, static_cast<uint8_t>(size), value});
    }
  }
}

void Vcpu::ServeMemory() {
  counters_.memory_exits.Add();
  offered_.reset();
  auto& mmio = kvm_->run()->mmio;
  const uint32_t size = mmio.len;
  if (size < 1 || size > sizeof(mmio.data)) {
    counters_.ignored.Add();
    return;
  }
  uint64_t value = 0;
  if (mmio.is_write != 0) {
    std::memcpy(&value, mmio.data, size);
    Write({ExitSpace::kMemory, mmio.phys_addr, static_cast<uint8_t>(size), value});
    return;
  }
  if (!parked_writes_.empty()) {
    counters_.disordered.Add();
  }
  value = memory_.Read(mmio.phys_addr, size);
  std::memcpy(mmio.data, &value, size);
}

ExitDone Vcpu::WriteOnce(const ParkedWrite& write) {
  FlatViewCache& space = write.space == ExitSpace::kMemory ? memory_ : ports_;
  return space.Write(write.address, write.size, write.value);
}

void Vcpu::Write(const ParkedWrite& write) {
  // Behind a parked write everything keeps its order: it is done when that one is.
  if (!parked_writes_.empty() && parked_writes_.size() < VcpuState::kMaxParkedWrites) {
    parked_writes_.push_back(write);
    return;
  }
  const ExitDone done = WriteOnce(write);
  if (done.token() && !WaitParked(done.token())) {
    parked_writes_.push_back(write);
  }
}

void Vcpu::ServeInternalError() {
  const auto& internal = kvm_->run()->internal;
  if (internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
    kvm_sregs sregs{};
    // In user mode KVM has given the guest's kernel an exception instead: its own affair.
    if (kvm_->Get(KVM_GET_SREGS, &sregs, "system registers") && (sregs.cr0 & kCr0Pe) != 0 &&
        (sregs.cs.selector & 3) == 3) {
      counters_.ignored.Add();
      return;
    }
  }
  std::string why = InternalErrorText(internal.suberror);
  for (uint32_t i = 0; i < internal.ndata && i < std::size(internal.data); ++i) {
    why += Format("{}{:#x}", i == 0 ? ": " : " ", internal.data[i]);
  }
  GiveUp(why);
}

void Vcpu::ServeSystemEvent() {
  VcpuObserver::SystemEvent event = VcpuObserver::SystemEvent::kCrash;
  switch (kvm_->run()->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN: event = VcpuObserver::SystemEvent::kShutdown; break;
    case KVM_SYSTEM_EVENT_RESET: event = VcpuObserver::SystemEvent::kReset; break;
    case KVM_SYSTEM_EVENT_CRASH: break;
    default: counters_.ignored.Add(); return;
  }
  StopSelf();
  observer_.OnSystemEvent(config_.index, event);
}

void Vcpu::ServeDebug() {
  const kvm_debug_exit_arch& arch = kvm_->run()->debug.arch;
  const DebugExit exit{.exception = arch.exception, .pc = arch.pc, .dr6 = arch.dr6};
  if (observer_.TakeDebugExit(config_.index, exit)) {
    StopSelf();
    observer_.OnDebugStop(config_.index);
    return;
  }
  if (const Result<> delivered = DeliverException(*kvm_, exit.exception); !delivered) {
    GiveUp(delivered.error().message);
  }
}

// Hyper-V's messages and events go to nobody here: there is no VMBus. KVM keeps the rest to itself and only
// tells.
void Vcpu::ServeHyperV() {
  counters_.ignored.Add();
  auto& hyperv = kvm_->run()->hyperv;
  if (hyperv.type == KVM_EXIT_HYPERV_HCALL) {
    // TLFS 6.0b, appendix B: hypercall codes and results.
    constexpr uint64_t kCodeMask = 0xffff, kPostMessage = 0x5c, kSignalEvent = 0x5d;
    constexpr uint64_t kInvalidCode = 2, kInvalidConnection = 0x12;
    const uint64_t code = hyperv.u.hcall.input & kCodeMask;
    hyperv.u.hcall.result = code == kPostMessage || code == kSignalEvent ? kInvalidConnection : kInvalidCode;
  }
}

void Vcpu::GiveUp(std::string_view why) {
  Log(LogLevel::kError, "vCPU {}: {}\n  {}", config_.index, why, DumpRegisters(*kvm_));
  StopSelf();
  observer_.OnInternalError(config_.index, why);
}

}  // namespace nandu
