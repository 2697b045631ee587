#include "vcpu/vcpu.h"

#include <algorithm>
#include <errno.h>
#include <mutex>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "base/log.h"
#include "base/thread_name.h"
#include "kvm/kvm_vm.h"
#include "vcpu/msrs.h"
#include "vcpu/nmi.h"

namespace nandu {
namespace {

int KickSignal() { return SIGRTMIN; }

// The handler does nothing: the signal's arrival is what ends KVM_RUN. Other system calls go on (SA_RESTART);
// KVM_RUN never restarts.
void InstallKickSignal() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(KickSignal(), &action, nullptr);
  });
}

// A vCPU thread takes kicks and its own faults; the process's signals are the control loop's.
void SetThreadSignalMask() {
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int signal : {KickSignal(), SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&blocked, signal);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

Result<> EnableHyperV(KvmVcpu& kvm, bool synic, bool enforce_cpuid) {
  kvm_enable_cap enable{};
  if (synic) {
    // The one that clears a guest's message and event pages itself: nobody else writes to them here.
    enable.cap = KVM_CAP_HYPERV_SYNIC;
    TRY(kvm.Set(KVM_ENABLE_CAP, &enable, "hv-synic=on"));
  }
  if (enforce_cpuid) {
    enable.cap = KVM_CAP_HYPERV_ENFORCE_CPUID;
    enable.args[0] = 1;
    TRY(kvm.Set(KVM_ENABLE_CAP, &enable, "hv-enforce-cpuid=on: this kernel's KVM has no such check"));
  }
  return {};
}

Result<> DisableApic(KvmVcpu& kvm) {
  kvm_sregs sregs{};
  TRY(kvm.Get(KVM_GET_SREGS, &sregs, "system registers"));
  sregs.apic_base = 0;
  return kvm.Set(KVM_SET_SREGS, &sregs, "system registers");
}

}  // namespace

Vcpu::Vcpu(std::unique_ptr<KvmVcpu> kvm, Config config, AddressSpace& memory, AddressSpace& ports,
           VcpuGate& gate, VcpuObserver& observer)
    : kvm_(std::move(kvm)),
      config_(std::move(config)),
      memory_(memory),
      ports_(ports),
      gate_(gate),
      observer_(observer),
      control_(std::make_shared<Control>()) {}

Result<std::unique_ptr<Vcpu>> Vcpu::Create(std::unique_ptr<KvmVcpu> kvm, Config config, AddressSpace& memory,
                                           AddressSpace& ports, VcpuGate& gate, VcpuObserver& observer) {
  std::unique_ptr<Vcpu> vcpu(new Vcpu(std::move(kvm), std::move(config), memory, ports, gate, observer));
  TRY(vcpu->PowerOn());
  return vcpu;
}

Result<> Vcpu::PowerOn() {
  if (config_.tsc_khz != 0) {
    TRY(SetTscFrequency(*kvm_, config_.tsc_khz));
  }
  if (config_.mcg_cap) {
    const uint64_t banks = *config_.mcg_cap;
    TRY(kvm_->Set(KVM_X86_SETUP_MCE, &banks, "KVM_X86_SETUP_MCE"));
  }
  TRY(kvm_->SetCpuid(config_.cpuid));
  if (config_.enforce_pv_features) {
    kvm_enable_cap enable{};
    enable.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID;
    enable.args[0] = 1;
    TRY(kvm_->Set(KVM_ENABLE_CAP, &enable, "kvm-pv-enforce-cpuid=on: this kernel's KVM has no such check"));
  }
  TRY(EnableHyperV(*kvm_, config_.synic, config_.enforce_hyperv));
  if (!config_.apic_enabled) {
    TRY(DisableApic(*kvm_));
  }
  std::vector<kvm_msr_entry> msrs(config_.msrs.size());
  for (size_t i = 0; i < msrs.size(); ++i) {
    msrs[i].index = config_.msrs[i].index;
    msrs[i].data = config_.msrs[i].value;
  }
  for (const uint32_t refused : SetMsrsTolerantly(*kvm_, msrs)) {
    Log(LogLevel::kWarning, "vCPU {}: KVM does not take the CPU model's value of MSR {:#x}", config_.index,
        refused);
  }
  // A vCPU that was just made is in the reset state as this kernel sees it; every later reset goes back
  // there.
  saved_msrs_ = MsrsToSave(kvm_->vm().kvm(), config_.cpuid);
  power_on_ = TRY(SaveVcpu(*kvm_, &saved_msrs_));
  return {};
}

Vcpu::~Vcpu() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const MutexLock lock(control_->mutex);
    control_->quit = true;
  }
  Attend();
  thread_.join();
}

void Vcpu::Start(UniqueFunction<void()> on_thread) {
  InstallKickSignal();
  thread_ = std::thread([this, first = std::move(on_thread)]() mutable { ThreadMain(std::move(first)); });
}

int Vcpu::thread_id() const {
  if (thread_.joinable()) {
    thread_id_.wait(0);  // a thread that was just started: managers pin it by this as soon as they may ask
  }
  return thread_id_.load(std::memory_order_relaxed);
}

// The order matters, and the entry's mirror of it (see Enter): first the request, then immediate_exit, then
// the signal.
void Vcpu::Attend() {
  attention_.store(true, std::memory_order_seq_cst);
  Expel();
  control_->changed.notify_all();
}

void Vcpu::Expel() {
  kvm_->SetImmediateExit(true);
  if (inside_.load(std::memory_order_seq_cst) != 0) {
    pthread_kill(handle_.load(std::memory_order_relaxed), KickSignal());
  }
}

void Vcpu::WaitOutside() const {
  while (inside_.load(std::memory_order_seq_cst) != 0) {
    inside_.wait(1);
  }
}

void Vcpu::Kick() { Attend(); }

void Vcpu::Pause(UniqueFunction<void()> done) {
  {
    const MutexLock lock(control_->mutex);
    control_->pause = true;
    if (!control_->paused) {
      control_->on_paused.push_back(std::move(done));
      done = nullptr;
    }
  }
  if (done) {
    done();
    return;
  }
  Attend();
}

void Vcpu::Resume() {
  {
    const MutexLock lock(control_->mutex);
    as_made_ = false;
    control_->pause = false;
    control_->paused = false;
  }
  Attend();
}

bool Vcpu::paused() const {
  const MutexLock lock(control_->mutex);
  return control_->paused;
}

void Vcpu::RunOn(UniqueFunction<void()> task) {
  {
    const MutexLock lock(control_->mutex);
    control_->tasks.push_back(std::move(task));
  }
  Attend();
}

void Vcpu::InjectNmi() {
  RunOn([this] {
    if (const Result<> raised = RaiseExternalNmi(*kvm_, config_.apic_enabled); !raised) {
      Log(LogLevel::kWarning, "an NMI was lost: {}", raised.error().message);
    }
  });
}

void Vcpu::InjectMachineCheck(const MachineCheck& check) {
  RunOn([this, check] {
    if (const Result<> raised = RaiseMachineCheck(*kvm_, check); !raised) {
      GiveUp(Format("its memory is broken and KVM does not tell the guest: {}", raised.error().message));
    }
  });
}

void Vcpu::ServePoison() {
  const PoisonedMemory poison = *std::exchange(poison_, std::nullopt);
  if (!observer_.TakePoison(config_.index, poison)) {
    GiveUp("the host's hardware found memory broken that the guest uses, and the guest cannot be told");
  }
}

void Vcpu::StopSelf() {
  const MutexLock lock(control_->mutex);
  control_->pause = true;
  attention_.store(true, std::memory_order_seq_cst);
}

namespace {
thread_local Vcpu* g_current = nullptr;
}  // namespace

Vcpu* Vcpu::Current() { return g_current; }

void Vcpu::ThreadMain(UniqueFunction<void()> on_thread) {
  g_current = this;
  NameThisThread(Format("CPU {}/KVM", config_.index));
  SetThreadSignalMask();
  thread_id_.store(gettid(), std::memory_order_relaxed);
  thread_id_.notify_all();
  handle_.store(pthread_self(), std::memory_order_relaxed);
  if (on_thread) {
    on_thread();
  }
  RunUntilQuit();
}

void Vcpu::RunUntilQuit() {
  while (ServeRequests()) {
    if (!parked_writes_.empty()) {
      RedoParkedWrites();
      continue;
    }
    switch (Enter(EntryKind::kRunGuest)) {
      case Entered::kExit: ServeExit(); break;
      case Entered::kInterrupted: counters_.kicks.Add(); break;
      case Entered::kHeld: break;
      case Entered::kFailed: GiveUp(Format("KVM_RUN: {}", ErrnoText(run_errno_))); break;
    }
    if (poison_) [[unlikely]] {
      ServePoison();
    }
  }
}

// Looks at what others asked for; stays here while paused.
bool Vcpu::ServeRequests() {
  if (!attention_.load(std::memory_order_seq_cst)) {
    return true;
  }
  for (;;) {
    switch (NextRequest()) {
      case Request::kQuit: return false;
      case Request::kNone: return true;
      case Request::kTask: RunTask(); break;
      case Request::kPause:
        CompleteLastExit();
        kvm_->TellGuestOfPause();
        ReportPaused();
        break;
      case Request::kWait: break;
    }
  }
}

Vcpu::Request Vcpu::NextRequest() {
  const MutexLock lock(control_->mutex);
  if (control_->quit) {
    return Request::kQuit;
  }
  if (!control_->tasks.empty()) {
    return Request::kTask;
  }
  if (!control_->pause) {
    // Requests are made under the mutex before attention is asked for, so none is lost here.
    attention_.store(false, std::memory_order_seq_cst);
    return Request::kNone;
  }
  if (!control_->paused) {
    return Request::kPause;
  }
  control_->changed.wait(control_->mutex);
  return Request::kWait;
}

void Vcpu::RunTask() {
  UniqueFunction<void()> task;
  {
    const MutexLock lock(control_->mutex);
    if (control_->tasks.empty()) {
      return;
    }
    task = std::move(control_->tasks.front());
    control_->tasks.pop_front();
  }
  task();
}

void Vcpu::ReportPaused() {
  std::vector<UniqueFunction<void()>> done;
  {
    const MutexLock lock(control_->mutex);
    if (!control_->pause) {
      return;  // resumed meanwhile; whoever asks next is told next
    }
    control_->paused = true;
    done.swap(control_->on_paused);
  }
  for (const UniqueFunction<void()>& callback : done) {
    callback();
  }
}

// One KVM_RUN. The gate and the requests are looked at between being visibly inside and entering the kernel:
// whoever closes the gate or asks for something afterwards sees this vCPU inside and makes the kernel return
// (immediate_exit, then a signal).
Vcpu::Entered Vcpu::Enter(EntryKind kind) {
  kvm_->SetImmediateExit(kind == EntryKind::kCompleteExit);
  inside_.store(1, std::memory_order_seq_cst);
  const bool held = gate_.closed();
  if (held || (kind == EntryKind::kRunGuest && attention_.load(std::memory_order_seq_cst))) {
    inside_.store(0, std::memory_order_seq_cst);
    inside_.notify_all();
    if (held) {
      gate_.WaitOpen();
      // A vCPU may stay in the guest for long: it must not keep memory that left the map.
      memory_.Get();
      ports_.Get();
    }
    return Entered::kHeld;
  }
  if (external_ != nullptr && config_.index == 0 && kind == EntryKind::kRunGuest) {
    OfferInterrupts();
  }
  LostMemory::EnterGuest();
  const int error = kvm_->Run();
  if (const std::optional<PoisonedMemory> poison = LostMemory::LeaveGuest()) [[unlikely]] {
    poison_ = poison;
  }
  inside_.store(0, std::memory_order_seq_cst);
  if (gate_.closed()) {
    inside_.notify_all();
  }
  switch (error) {
    case 0: counters_.exits.Add(); return Entered::kExit;
    case EINTR:
    case EAGAIN:
      return Entered::kInterrupted;  // EAGAIN: an application processor was woken by its INIT or SIPI
    default: run_errno_ = error; return Entered::kFailed;
  }
}

// api.rst, "KVM_INTERRUPT", ready_for_interrupt_injection and request_interrupt_window: KVM takes one vector
// at a time, when the guest could take it at once and LINT0 is set to let the 8259s through, or leaves the
// guest as soon as it could. INTR rising after this look kicks the vCPU.
void Vcpu::OfferInterrupts() {
  kvm_run& run = *kvm_->run();
  if (acknowledged_.empty() && run.ready_for_interrupt_injection != 0 && external_->Pending()) {
    if (const std::optional<uint8_t> vector = external_->Acknowledge()) {
      acknowledged_.push_back(*vector);
    }
  }
  if (!acknowledged_.empty() && kvm_->QueueInterrupt(acknowledged_.front())) {
    counters_.external.Add();
    offered_ = acknowledged_.front();
    acknowledged_.pop_front();
  }
  run.request_interrupt_window = !acknowledged_.empty() || external_->Pending() ? 1 : 0;
}

// api.rst, "KVM_RUN": registers are consistent only after the pending port or memory access was completed by
// re-entry. An access that crosses a page gives one exit for each half.
void Vcpu::CompleteLastExit() {
  for (;;) {
    switch (Enter(EntryKind::kCompleteExit)) {
      case Entered::kExit: ServeExit(); break;
      case Entered::kInterrupted: return;
      case Entered::kHeld: break;
      case Entered::kFailed: return;  // the same error comes with the next run
    }
  }
}

// Waits in this thread, without a lock a device could need. Tasks are served meanwhile; a pause or the end of
// the VM ends the wait.
bool Vcpu::WaitParked(const std::shared_ptr<ParkedExit>& token) {
  counters_.parked.Add();
  token->Observe([control = control_] {
    const MutexLock lock(control->mutex);
    control->changed.notify_all();
  });
  for (;;) {
    RunTask();
    const MutexLock lock(control_->mutex);
    if (token->signalled()) {
      return true;
    }
    if (control_->pause || control_->quit) {
      return false;
    }
    if (control_->tasks.empty()) {
      control_->changed.wait(control_->mutex);
    }
  }
}

void Vcpu::RedoParkedWrites() {
  while (!parked_writes_.empty()) {
    const ExitDone done = WriteOnce(parked_writes_.front());
    counters_.parked_again.Add();
    if (done.token() && !WaitParked(done.token())) {
      return;
    }
    parked_writes_.erase(parked_writes_.begin());
  }
}

// Also what the last entry said of the guest: it is another one now.
void Vcpu::ForgetVectors() {
  acknowledged_.clear();
  offered_.reset();
  kvm_->run()->ready_for_interrupt_injection = 0;
}

Result<VcpuState> Vcpu::Save() {
  NANDU_CHECK(paused(), "a vCPU is saved while it is paused");
  VcpuState state = TRY(SaveVcpu(*kvm_, &saved_msrs_));
  for (const kvm_cpuid_entry2& entry : config_.cpuid) {
    state.cpuid.push_back(
        {entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx});
  }
  TRY(SaveNested(*kvm_, &state));
  state.parked_writes = parked_writes_;
  state.external_vectors = UndeliveredVectors(state);
  return state;
}

// A vCPU that is kicked at the moment it enters the guest may leave the vector it was given with KVM, which
// keeps it and tells nobody. Where the guest does not show that it arrived, KVM is asked by offering it
// again: a guest that goes on here rather than elsewhere may then see it twice, which an edge may always be,
// and never loses it.
std::vector<uint8_t> Vcpu::UndeliveredVectors(const VcpuState& state) {
  constexpr uint64_t kInterruptFlag = 1 << 9;
  std::vector<uint8_t> vectors;
  const bool arrived = !offered_ || state.events.interrupt_injected ||
                       (state.regs.rflags & kInterruptFlag) == 0 || !external_->InService(*offered_);
  if (!arrived && !kvm_->QueueInterrupt(*offered_)) {
    vectors.push_back(*offered_);
  }
  vectors.insert(vectors.end(), acknowledged_.begin(), acknowledged_.end());
  return vectors;
}

Result<> Vcpu::Load(const VcpuState& state, LoadKind kind) {
  NANDU_CHECK(paused(), "a vCPU is loaded while it is paused");
  if (state.apic_id != apic_id()) {
    return Fail(Errc::kCorrupt,
                "vCPU {} has APIC ID {}, its saved state has {}: the machine must have the same topology",
                config_.index, apic_id(), state.apic_id);
  }
  std::vector<CpuidEntry> mine;
  for (const kvm_cpuid_entry2& entry : config_.cpuid) {
    mine.push_back({entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx});
  }
  if (mine != state.cpuid) {
    return Fail(
        Errc::kUnsupported,
        "vCPU {}: this machine's CPUID is not the one the guest was saved with; use the same CPU model "
        "with features both hosts have",
        config_.index);
  }
  as_made_ = false;
  TRY(LoadVcpu(*kvm_, state, kind));
  parked_writes_ = state.parked_writes;
  ForgetVectors();
  acknowledged_.assign(state.external_vectors.begin(), state.external_vectors.end());
  return {};
}

Result<> Vcpu::Reset(const BootRegisters& boot) {
  NANDU_CHECK(paused(), "a vCPU is reset while it is paused");
  parked_writes_.clear();
  ForgetVectors();
  VcpuState state = power_on_;
  const bool as_made = as_made_;
  if (boot.mode != BootRegisters::Mode::kResetVector) {
    kvm_regs regs = ToKvm(state.regs);
    kvm_sregs sregs = ToKvm(state.sregs);
    ApplyBootRegisters(boot, &regs, &sregs);
    state.regs = FromKvm(regs);
    state.sregs = FromKvm(sregs);
  }
  if (as_made) {  // the first start: the rest is what KVM made it
    if (boot.mode == BootRegisters::Mode::kResetVector) {
      return {};
    }
    as_made_ = false;
    const kvm_sregs sregs = ToKvm(state.sregs);
    TRY(kvm_->Set(KVM_SET_SREGS, &sregs, "KVM refuses the boot registers"));
    const kvm_regs regs = ToKvm(state.regs);
    return kvm_->Set(KVM_SET_REGS, &regs, "KVM refuses the boot registers");
  }
  as_made_ = boot.mode == BootRegisters::Mode::kResetVector;
  return LoadVcpu(*kvm_, state, LoadKind::kReset);
}

Result<> Vcpu::SetStart(uint64_t rip) {
  NANDU_CHECK(paused(), "a vCPU's registers are set while it is paused");
  kvm_regs regs{};
  TRY(kvm_->Get(KVM_GET_REGS, &regs, "KVM_GET_REGS"));
  regs.rip = rip;
  as_made_ = false;
  return kvm_->Set(KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

}  // namespace nandu
