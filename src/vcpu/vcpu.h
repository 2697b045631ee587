// One vCPU: its thread "CPU n/KVM", its run loop and its state. Exits are served in that thread through
// cached flat views.
//
// Kick, Pause, Resume, RunOn: any thread. Save, Load, Reset: any thread, while the vCPU is paused. See docs
// of ParkedExit (nandu/exit.h) for writes that are over later than they were made.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <pthread.h>
#include <string_view>
#include <thread>
#include <vector>

#include "base/counter.h"
#include "base/lost_memory.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_function.h"
#include "kvm/kvm_vcpu.h"
#include "memory/address_space.h"
#include "vcpu/boot_registers.h"
#include "vcpu/debug_types.h"
#include "vcpu/external_interrupts.h"
#include "vcpu/machine_check.h"
#include "vcpu/vcpu_gate.h"
#include "vcpu/vcpu_state.h"
#include "vcpu/vcpu_transfer.h"

namespace nandu {

// Told of what a guest did to itself. On the vCPU's thread, with the vCPU on its way to being paused: it runs
// on after Resume only.
class VcpuObserver {
 public:
  VcpuObserver() = default;
  VcpuObserver(const VcpuObserver&) = delete;
  VcpuObserver& operator=(const VcpuObserver&) = delete;
  virtual ~VcpuObserver() = default;
  virtual void OnTripleFault(unsigned index) = 0;  // QEMU: reset
  // KVM or the CPU gave up; registers are in the log (run state internal-error).
  virtual void OnInternalError(unsigned index, std::string_view why) = 0;
  enum class SystemEvent : uint8_t { kShutdown, kReset, kCrash };
  virtual void OnSystemEvent(unsigned index, SystemEvent event) = 0;
  // An exception left the guest while it is debugged (SetGuestDebug). True: the debugger asked for it, and
  // OnDebugStop follows; false: it is the guest's own and is delivered.
  virtual bool TakeDebugExit(unsigned index, const DebugExit& exit) = 0;
  virtual void OnDebugStop(unsigned index) = 0;
  // A page that the guest used, or may yet use, is broken. False: it cannot be told, and the vCPU gives up.
  virtual bool TakePoison(unsigned index, const PoisonedMemory& poison) = 0;
};

struct VcpuCounters {
  Counter exits;  // KVM_RUN came back with something to serve
  Counter port_exits;
  Counter memory_exits;
  Counter kicks;         // KVM_RUN was left by a kick
  Counter parked;        // writes that were parked
  Counter parked_again;  // of those, done again after a pause
  Counter disordered;    // reads served in front of a parked write
  Counter ignored;       // exits that ask for nothing
  Counter external;      // interrupts of controllers outside KVM
};

class Vcpu {
 public:
  struct Config {
    unsigned index = 0;
    std::vector<kvm_cpuid_entry2> cpuid;
    std::vector<MsrState> msrs;        // set once, at creation: what the model says of feature registers
    std::optional<uint64_t> mcg_cap;   // machine check banks, where the model has them
    uint32_t tsc_khz = 0;              // 0: the host's
    bool enforce_pv_features = false;  // KVM's own features only where CPUID shows them
    bool enforce_hyperv = false;       // Hyper-V's likewise
    bool synic = false;                // Hyper-V's interrupt controller
    bool apic_enabled = true;          // at power-on: false for a lone processor that has none
  };
  // Paused, without a thread; its registers are in the reset state.
  static Result<std::unique_ptr<Vcpu>> Create(std::unique_ptr<KvmVcpu> kvm, Config config,
                                              AddressSpace& memory, AddressSpace& ports, VcpuGate& gate,
                                              VcpuObserver& observer);
  ~Vcpu();  // ends the thread
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  // Before Start: controllers outside KVM, which outlive the thread. The first vCPU takes their interrupts.
  void SetExternalInterrupts(ExternalInterrupts* controllers) { external_ = controllers; }
  // Starts the thread, paused. `on_thread` runs first in it (a seccomp filter, a CPU mask).
  void Start(UniqueFunction<void()> on_thread = nullptr);

  // Whose thread this is; null: no vCPU's.
  static Vcpu* Current();

  unsigned index() const { return config_.index; }
  uint32_t apic_id() const { return kvm_->id(); }
  const std::vector<kvm_cpuid_entry2>& cpuid() const { return config_.cpuid; }
  KvmVcpu& kvm() { return *kvm_; }
  const VcpuCounters& counters() const { return counters_; }
  int thread_id() const;  // gettid; 0 before Start

  void Kick();  // KVM_RUN returns once; nothing else happens
  // `done` once the vCPU has completed its last exit and waits; at once when it does already. On any thread.
  void Pause(UniqueFunction<void()> done);
  void Resume();
  bool paused() const;
  // Runs `task` on the vCPU's thread, outside KVM_RUN, paused or not. From its own thread: after the exit
  // being served.
  void RunOn(UniqueFunction<void()> task);

  Result<VcpuState> Save();
  Result<> Load(const VcpuState& state, LoadKind kind);  // kFresh, kSameHost
  // The state after power-on, or `boot`'s for the vCPU that boots. Parked writes are dropped.
  Result<> Reset(const BootRegisters& boot);

  // Paused, after a reset: execution begins there, in the code segment that the reset left.
  Result<> SetStart(uint64_t rip);

  void InjectNmi();                                    // see vcpu/nmi.h; any thread, soon
  void InjectMachineCheck(const MachineCheck& check);  // likewise
  bool takes_machine_checks() const { return config_.mcg_cap && TakesMachineChecks(*config_.mcg_cap); }

  // Paused: registers were written past this class, so that a reset has something to undo.
  void RegistersChanged() { as_made_ = false; }

  // For VcpuSet, with the gate closed: leave KVM_RUN; wait until it is left.
  void Expel();
  void WaitOutside() const;

 private:
  enum class Request : uint8_t { kNone, kTask, kPause, kWait, kQuit };
  enum class Entered : uint8_t { kExit, kInterrupted, kHeld, kFailed };
  enum class EntryKind : uint8_t { kRunGuest, kCompleteExit };
  // Lives as long as the last token that may still signal this vCPU.
  struct Control {
    Mutex mutex;
    std::condition_variable_any changed;
    std::deque<UniqueFunction<void()>> tasks NANDU_TA(guarded_by(mutex));
    std::vector<UniqueFunction<void()>> on_paused NANDU_TA(guarded_by(mutex));
    bool pause NANDU_TA(guarded_by(mutex)) = true;
    bool paused NANDU_TA(guarded_by(mutex)) = true;
    bool quit NANDU_TA(guarded_by(mutex)) = false;
  };

  Vcpu(std::unique_ptr<KvmVcpu> kvm, Config config, AddressSpace& memory, AddressSpace& ports, VcpuGate& gate,
       VcpuObserver& observer);
  Result<> PowerOn();
  void ForgetVectors();
  std::vector<uint8_t> UndeliveredVectors(const VcpuState& state);

  // In vcpu.cpp, on the vCPU's thread.
  void ThreadMain(UniqueFunction<void()> on_thread);
  void RunUntilQuit();
  bool ServeRequests();  // false: quit
  Request NextRequest();
  void RunTask();  // the oldest, if any
  void ReportPaused();
  Entered Enter(EntryKind kind);
  void OfferInterrupts();
  void CompleteLastExit();
  void RedoParkedWrites();
  bool WaitParked(const std::shared_ptr<ParkedExit>& token);  // false: a pause came first
  void ServePoison();
  void StopSelf();
  void Attend();  // makes the thread look at its requests

  // In vcpu_exits.cpp, on the vCPU's thread.
  void ServeExit();
  void ServePorts();
  void ServeMemory();
  void ServeInternalError();
  void ServeSystemEvent();
  void ServeHyperV();
  void ServeDebug();
  void ServeIoApicEoi();
  void GiveUp(std::string_view why);
  void Write(const ParkedWrite& write);
  ExitDone WriteOnce(const ParkedWrite& write);

  const std::unique_ptr<KvmVcpu> kvm_;
  const Config config_;
  FlatViewCache memory_;
  FlatViewCache ports_;
  VcpuGate& gate_;
  VcpuObserver& observer_;
  VcpuCounters counters_;
  VcpuState power_on_;
  std::vector<uint32_t> saved_msrs_;
  bool as_made_ = true;                     // registers are those of power-on; while paused
  std::vector<ParkedWrite> parked_writes_;  // the thread's; anyone's while paused
  ExternalInterrupts* external_ = nullptr;
  std::deque<uint8_t> acknowledged_;  // vectors KVM did not take yet; like parked_writes_
  std::optional<uint8_t> offered_;    // the last one it took, until it is sure to be delivered
  const std::shared_ptr<Control> control_;
  std::atomic<bool> attention_{true};
  std::atomic<uint32_t> inside_{0};
  std::atomic<int> thread_id_{0};
  std::atomic<pthread_t> handle_{};
  int run_errno_ = 0;
  std::optional<PoisonedMemory> poison_;  // the thread's: met in KVM_RUN, not told yet
  std::thread thread_;
};

}  // namespace nandu
