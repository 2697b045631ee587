// The life of a VM: one state machine for pause, resume, reset, shutdown and exit. Control loop only, apart
// from the Request functions, which any thread may call.
//
// Two orthogonal values: the private phase (what the machine is doing) and the public RunState (what QMP
// says, run_state.h). Operations run one at a time, in order; each is a chain of callbacks, since pausing
// vCPUs and quiescing devices take time and the control loop never waits.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/device.h>

#include "base/result.h"
#include "base/unique_function.h"
#include "loop/control_loop.h"
#include "machine/config.h"
#include "machine/run_state.h"

namespace nandu {

enum class Phase : uint8_t { kCreated, kRunning, kPausing, kPaused, kSaving, kHandedOver };
std::string_view PhaseName(Phase phase);

// What the lifecycle needs of the machine; plain functions, so that its tests need no KVM.
struct LifecycleParts {
  // Takes every vCPU out of the guest, each exit served to its end; `done` on any thread.
  std::function<void(UniqueFunction<void()> done)> pause_vcpus;
  std::function<void()> resume_vcpus;
  std::function<const std::vector<Device*>&()> devices;
  // vCPUs out, devices quiesced: every device, bus and vCPU back to its start, firmware's chores and the
  // kernel loaded again.
  std::function<Result<>()> reset_board;
  // Everything the guest was told is written reaches stable storage; `done` on the control loop.
  std::function<void(UniqueFunction<void(Result<>)> done)> flush;
  std::function<void(std::string_view event, boost::json::object data)> emit;  // QMP events
  std::function<void(int status)> exit;                                        // ends the control loop
  std::function<void()> power_down;     // presses the power button, with its event
  std::function<void()> inject_nmi;     // into every vCPU
  std::function<void()> forget_errors;  // of disks, before the guest goes on by cont
};

class Lifecycle {
 public:
  using Done = UniqueFunction<void(Result<>)>;

  struct Policy {
    RebootAction reboot = RebootAction::kReset;
    ShutdownAction shutdown = ShutdownAction::kPowerOff;
    PanicAction panic = PanicAction::kShutdown;
    WatchdogAction watchdog = WatchdogAction::kReset;
    int64_t pause_deadline_ns = 30'000'000'000;  // of quiescing, and of flushing after it
    // The same for an end: both together are over before who sent SIGTERM kills (libvirt: after 10 s).
    int64_t exit_deadline_ns = 4'000'000'000;
  };

  Lifecycle(ControlLoop& loop, VmClock& clock, LifecycleParts parts, const Policy& policy);
  ~Lifecycle();
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;

  void SetActions(const ActionChanges& changes);  // set-action

  RunState state() const { return state_; }
  Phase phase() const { return phase_; }
  bool running() const { return state_ == RunState::kRunning; }
  // Requests or flushes did not end before the VM did: the kernel, and threads that wait in it, may still use
  // guest memory and devices, so that nothing of them may be freed.
  bool stuck() const { return stuck_ || flushes_ > 0; }

  // The board is built and reset: run it, or wait for `cont` (-S).
  void Start(bool paused);

  // `done` runs on the control loop. Stop in a state that is stopped already changes nothing and succeeds.
  void Stop(RunState why, Done done);
  void Cont(Done done);
  void SystemReset();                  // QMP system_reset: reason host-qmp-system-reset
  void Quit(std::string_view reason);  // "host-qmp-quit", "host-signal"

  // What the guest asks for; any thread. vCPUs are held until the operation is done (MachineHost).
  void RequestReset(std::string_view reason);     // "guest-reset"
  void RequestShutdown(std::string_view reason);  // "guest-shutdown"
  void RequestExit(int status);                   // isa-debug-exit
  void RequestStop(RunState why);                 // internal-error, io-error
  void GuestPanicked();                           // GUEST_PANICKED, and what the policy says
  void GuestCrashLoaded();                        // GUEST_CRASHLOADED; the guest runs on
  void WatchdogExpired();                         // WATCHDOG, and what the policy says

 private:
  using Operation = UniqueFunction<void()>;
  void Enqueue(Operation operation);
  void Finished();  // the running operation is over: the next one
  void RunNext();
  void SetPhase(Phase phase);
  void SetState(RunState state);

  void PauseMachine(int64_t deadline_ns, Done done);
  void QuiesceDevices(int64_t deadline_ns, Done done);
  void FlushImages(int64_t deadline_ns, Done done);
  void ArmDeadline(int64_t deadline_ns, UniqueFunction<void()> late);
  void ResumeMachine();
  void ResetMachine(std::string reason, bool guest, UniqueFunction<void()> done);
  void ShutdownMachine(const std::string& reason, bool guest, int status = 0);
  void Panic();
  void Watchdog();
  void PostAlive(UniqueFunction<void()> task);
  void ExitIsWanted();
  void Exit(int status);
  Error StuckError() const;

  ControlLoop& loop_;
  VmClock& clock_;
  LifecycleParts parts_;
  Policy policy_;
  RunState state_ = RunState::kPrelaunch;
  Phase phase_ = Phase::kCreated;
  Result<> board_;  // of the last reset; a board that could not be reset does not run
  bool busy_ = false;
  bool exit_wanted_ = false;  // an Exit waits or runs: the guest is not started again where it stands still
  bool exiting_ = false;      // it runs, and no operation follows
  bool stuck_ = false;        // the devices of a VM that ends did not go quiet
  size_t flushes_ = 0;        // on their way
  std::deque<Operation> queue_;
  std::unique_ptr<HostTimer> deadline_;  // of what the running operation waits for
  int64_t deadline_at_ns_ = 0;
  struct Quiescing;
  std::shared_ptr<Quiescing> quiescing_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // posted work of a dead lifecycle does nothing
};

}  // namespace nandu
