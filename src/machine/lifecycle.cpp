#include "machine/lifecycle.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"
#include "base/trace.h"

namespace nandu {

// One round of quiescing all devices. The deadline may pass while some still work: `settled` is then set, and
// what arrives late is resumed unless it is to be quiet by then for another reason.
struct Lifecycle::Quiescing {
  size_t waiting = 0;
  bool settled = false;
  std::vector<Device*> quiet;
  Done done;
};

std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kCreated: return "created";
    case Phase::kRunning: return "running";
    case Phase::kPausing: return "pausing";
    case Phase::kPaused: return "paused";
    case Phase::kSaving: return "saving";
    case Phase::kHandedOver: return "handed-over";
  }
  return "unknown";
}

Lifecycle::Lifecycle(ControlLoop& loop, VmClock& clock, LifecycleParts parts, const Policy& policy)
    : loop_(loop), clock_(clock), parts_(std::move(parts)), policy_(policy) {}

Lifecycle::~Lifecycle() { *alive_ = false; }

void Lifecycle::SetPhase(Phase phase) {
  Trace(TraceEvent::kLifecyclePhase, "{} -> {}", PhaseName(phase_), PhaseName(phase));
  phase_ = phase;
}

void Lifecycle::SetState(RunState state) {
  if (state == state_) {
    return;
  }
  NANDU_CHECK(CanTransition(state_, state), "a run state follows QEMU's transition table");
  Trace(TraceEvent::kRunState, "{} -> {}", RunStateName(state_), RunStateName(state));
  state_ = state;
}

void Lifecycle::SetActions(const ActionChanges& changes) {
  policy_.reboot = changes.reboot.value_or(policy_.reboot);
  policy_.shutdown = changes.shutdown.value_or(policy_.shutdown);
  policy_.panic = changes.panic.value_or(policy_.panic);
  policy_.watchdog = changes.watchdog.value_or(policy_.watchdog);
}

// ---- operations, one at a time ----

void Lifecycle::Enqueue(Operation operation) {
  queue_.push_back(std::move(operation));
  RunNext();
}

void Lifecycle::RunNext() {
  if (busy_ || exiting_ || queue_.empty()) {
    return;
  }
  busy_ = true;
  Operation operation = std::move(queue_.front());
  queue_.pop_front();
  operation();
}

void Lifecycle::Finished() {
  busy_ = false;
  RunNext();
}

// ---- pausing ----

void Lifecycle::PauseMachine(int64_t deadline_ns, Done done) {
  if (stuck_) {
    done(tl::unexpected<Error>(StuckError()));
    return;
  }
  if (phase_ != Phase::kRunning) {
    done({});
    return;
  }
  SetPhase(Phase::kPausing);
  auto on_loop = [this, deadline_ns, alive = alive_](Done finish) {
    if (!*alive) {
      return;
    }
    clock_.Freeze();
    QuiesceDevices(deadline_ns, std::move(finish));
  };
  auto finish = [this, done = std::move(done)](Result<> result) mutable {
    if (!result) {
      if (exit_wanted_) {
        stuck_ = true;
      } else {
        ResumeMachine();  // nothing is lost: what went quiet goes on, and so does the guest
      }
      done(std::move(result));
      return;
    }
    SetPhase(Phase::kPaused);
    done({});
  };
  auto shared_finish = std::make_shared<Done>(std::move(finish));
  parts_.pause_vcpus([this, on_loop, shared_finish] {
    loop_.Post([on_loop, shared_finish] {
      on_loop([shared_finish](Result<> result) { (*shared_finish)(std::move(result)); });
    });
  });
}

void Lifecycle::QuiesceDevices(int64_t deadline_ns, Done done) {
  auto round = std::make_shared<Quiescing>();
  round->done = std::move(done);
  quiescing_ = round;
  auto settle = [this, round](Result<> result) {
    round->settled = true;
    deadline_.reset();
    Done finish = std::move(round->done);
    finish(std::move(result));
  };
  const std::vector<Device*>& devices = parts_.devices();
  round->waiting = devices.size();
  if (devices.empty()) {
    settle({});
    return;
  }
  ArmDeadline(deadline_ns, [this, settle, round] {
    if (!round->settled) {
      settle(tl::unexpected<Error>(StuckError()));
    }
  });
  for (Device* device : devices) {
    device->Quiesce([this, device, round, settle, alive = alive_] {
      loop_.Post([this, device, round, settle, alive] {
        if (!*alive) {
          return;
        }
        if (round->settled) {
          // Too late for the pause it was asked for. Where the guest runs the device must; where a later
          // pause is under way, that one decides.
          if (phase_ == Phase::kRunning) {
            device->Resume();
          }
          return;
        }
        round->quiet.push_back(device);
        if (--round->waiting == 0) {
          settle({});
        }
      });
    });
  }
}

// `late` runs unless deadline_ is reset before. An exit that is wanted shortens it, then and later.
void Lifecycle::ArmDeadline(int64_t deadline_ns, UniqueFunction<void()> late) {
  if (exit_wanted_) {
    deadline_ns = std::min(deadline_ns, policy_.exit_deadline_ns);
  }
  deadline_ = loop_.CreateHostTimer(std::move(late));
  deadline_->ArmAfter(deadline_ns);
  deadline_at_ns_ = MonotonicNs() + deadline_ns;
}

// An image may hang as any device may: past the deadline that is an error, and the flush goes on alone.
void Lifecycle::FlushImages(int64_t deadline_ns, Done done) {
  auto waiting = std::make_shared<Done>(std::move(done));
  const auto settle = [this, waiting](Result<> result) {
    if (*waiting) {
      deadline_.reset();
      const Done finish = std::exchange(*waiting, nullptr);
      finish(std::move(result));
    }
  };
  ArmDeadline(deadline_ns, [settle] {
    settle(Fail(Errc::kBusy, "an image was not flushed in time; look whether its disk answers"));
  });
  ++flushes_;
  parts_.flush([this, settle, alive = alive_](Result<> result) {
    if (*alive) {
      --flushes_;
      settle(std::move(result));
    }
  });
}

Error Lifecycle::StuckError() const {
  std::string stuck;
  for (Device* device : parts_.devices()) {
    for (const std::string& request : device->StuckRequests()) {
      stuck += stuck.empty() ? "" : "; ";
      stuck += device->id() + ": " + request;
    }
  }
  if (stuck.empty()) {
    stuck = "a device that names none";
  }
  return Error{Errc::kBusy, 0, "requests in flight did not finish in time: " + stuck};
}

void Lifecycle::ResumeMachine() {
  // Devices that never went quiet (a pause that ran out of time) resume when they report late.
  const std::shared_ptr<Quiescing> round = std::exchange(quiescing_, nullptr);
  if (round) {
    for (Device* device : round->quiet) {
      device->Resume();
    }
  } else {
    for (Device* device : parts_.devices()) {
      device->Resume();
    }
  }
  clock_.Thaw();
  SetPhase(Phase::kRunning);
  parts_.resume_vcpus();
}

// ---- what the outside asks for ----

void Lifecycle::Start(bool paused) {
  Enqueue([this, paused] {
    if (paused) {
      Finished();
      return;
    }
    SetState(RunState::kRunning);
    ResumeMachine();
    parts_.emit("RESUME", {});
    Finished();
  });
}

void Lifecycle::Stop(RunState why, Done done) {
  Enqueue([this, why, done = std::move(done)]() mutable {
    if (state_ != RunState::kRunning) {
      done({});
      Finished();
      return;
    }
    PauseMachine(policy_.pause_deadline_ns, [this, why, done = std::move(done)](Result<> paused) mutable {
      if (!paused) {
        done(std::move(paused));
        Finished();
        return;
      }
      SetState(why);
      parts_.emit("STOP", {});
      // As QEMU's vm_stop: the guest stands still, so what it was told is written can be made to last now.
      FlushImages(policy_.pause_deadline_ns, [this, done = std::move(done)](Result<> flushed) mutable {
        done(std::move(flushed));
        Finished();
      });
    });
  });
}

void Lifecycle::Cont(Done done) {
  Enqueue([this, done = std::move(done)]() mutable {
    if (state_ == RunState::kRunning) {
      done({});
    } else if (NeedsReset(state_)) {
      done(Fail(Errc::kInvalidArgument, "Resetting the Virtual Machine is required"));
    } else if (!board_) {
      done(tl::unexpected<Error>(WithContext(board_.error(), "the last reset failed")));
    } else {
      parts_.forget_errors();
      SetState(RunState::kRunning);
      ResumeMachine();
      parts_.emit("RESUME", {});
      done({});
    }
    Finished();
  });
}

void Lifecycle::ResetMachine(std::string reason, bool guest, UniqueFunction<void()> done) {
  if (policy_.reboot == RebootAction::kShutdown) {
    ShutdownMachine(reason, guest);
    return;
  }
  const bool was_running = phase_ == Phase::kRunning;
  auto finish = [this, reason, guest, was_running, done = std::move(done)](Result<> paused) mutable {
    if (!paused) {
      Log(LogLevel::kError, "reset given up: {}", paused.error().message);
      done();
      return;
    }
    board_ = parts_.reset_board();
    boost::json::object data;
    data["guest"] = guest;
    data["reason"] = reason;
    parts_.emit("RESET", std::move(data));
    if (!board_) {
      Log(LogLevel::kError, "reset: {}", board_.error().message);
    }
    if (!was_running) {
      SetState(RunState::kPrelaunch);
    } else if (board_) {
      ResumeMachine();
    } else {
      SetState(RunState::kInternalError);
      parts_.emit("STOP", {});
    }
    done();
  };
  PauseMachine(policy_.pause_deadline_ns, std::move(finish));
}

void Lifecycle::SystemReset() {
  Enqueue([this] { ResetMachine("host-qmp-system-reset", false, [this] { Finished(); }); });
}

void Lifecycle::RequestReset(std::string_view reason) {
  loop_.Post([this, reason = std::string(reason), alive = alive_] {
    if (*alive) {
      Enqueue([this, reason] { ResetMachine(reason, true, [this] { Finished(); }); });
    }
  });
}

void Lifecycle::ShutdownMachine(const std::string& reason, bool guest, int status) {
  boost::json::object data;
  data["guest"] = guest;
  data["reason"] = reason;
  parts_.emit("SHUTDOWN", std::move(data));
  if (policy_.shutdown == ShutdownAction::kPowerOff) {
    Exit(status);
    return;
  }
  PauseMachine(policy_.pause_deadline_ns, [this](Result<> paused) {
    if (!paused) {
      Log(LogLevel::kError, "shutdown: {}", paused.error().message);
      Finished();
      return;
    }
    if (state_ ==
        RunState::kRunning) {  // a VM that was stopped in between keeps its state, as QEMU's vm_stop
      SetState(RunState::kShutdown);
      parts_.emit("STOP", {});
    }
    FlushImages(policy_.pause_deadline_ns, [this](Result<> flushed) {
      if (!flushed) {
        Log(LogLevel::kError, "shutdown: {}", flushed.error().message);
      }
      Finished();
    });
  });
}

void Lifecycle::RequestShutdown(std::string_view reason) {
  loop_.Post([this, reason = std::string(reason), alive = alive_] {
    if (*alive) {
      Enqueue([this, reason] { ShutdownMachine(reason, true); });
    }
  });
}

void Lifecycle::RequestStop(RunState why) {
  loop_.Post([this, why, alive = alive_] {
    if (*alive) {
      Stop(why, [](Result<> stopped) {
        if (!stopped) {
          Log(LogLevel::kError, "stop: {}", stopped.error().message);
        }
      });
    }
  });
}

void Lifecycle::PostAlive(UniqueFunction<void()> task) {
  loop_.Post([task = std::move(task), alive = alive_]() mutable {
    if (*alive) {
      task();
    }
  });
}

void Lifecycle::GuestPanicked() {
  PostAlive([this] { Panic(); });
}

void Lifecycle::Panic() {
  // As QEMU 7.2: a VM that stays after a shutdown stays after a panic as well.
  const bool stays = policy_.panic == PanicAction::kPause ||
                     (policy_.panic == PanicAction::kShutdown && policy_.shutdown == ShutdownAction::kPause);
  const bool runs_on = policy_.panic == PanicAction::kNone;
  boost::json::object data;
  data["action"] = runs_on ? "run" : stays ? "pause" : "poweroff";
  parts_.emit("GUEST_PANICKED", std::move(data));
  if (runs_on) {
    return;
  }
  if (stays) {
    Stop(RunState::kGuestPanicked, [](Result<> stopped) {
      if (!stopped) {
        Log(LogLevel::kError, "panic: {}", stopped.error().message);
      }
    });
    return;
  }
  Enqueue(
      [this] { ShutdownMachine("guest-panic", true, policy_.panic == PanicAction::kExitFailure ? 1 : 0); });
}

void Lifecycle::GuestCrashLoaded() {
  PostAlive([this] {
    boost::json::object data;
    data["action"] = "run";
    parts_.emit("GUEST_CRASHLOADED", std::move(data));
  });
}

void Lifecycle::WatchdogExpired() {
  PostAlive([this] { Watchdog(); });
}

void Lifecycle::Watchdog() {
  boost::json::object data;
  data["action"] = std::string(EnumText(policy_.watchdog));
  parts_.emit("WATCHDOG", std::move(data));
  switch (policy_.watchdog) {
    case WatchdogAction::kReset:
      Enqueue([this] { ResetMachine("guest-reset", true, [this] { Finished(); }); });
      break;
    case WatchdogAction::kShutdown: parts_.power_down(); break;
    case WatchdogAction::kPoweroff:
      ExitIsWanted();
      Enqueue([this] { Exit(0); });
      break;
    case WatchdogAction::kPause:
      Stop(RunState::kWatchdog, [](Result<> stopped) {
        if (!stopped) {
          Log(LogLevel::kError, "watchdog: {}", stopped.error().message);
        }
      });
      break;
    case WatchdogAction::kDebug: Log(LogLevel::kWarning, "the watchdog expired"); break;
    case WatchdogAction::kNone: break;
    case WatchdogAction::kInjectNmi: parts_.inject_nmi(); break;
  }
}

void Lifecycle::Quit(std::string_view reason) {
  boost::json::object data;
  data["guest"] = false;
  data["reason"] = reason;
  parts_.emit("SHUTDOWN", std::move(data));
  ExitIsWanted();
  Enqueue([this] { Exit(0); });
}

void Lifecycle::RequestExit(int status) {
  loop_.Post([this, status, alive = alive_] {
    if (*alive) {
      ExitIsWanted();
      Enqueue([this, status] { Exit(status); });
    }
  });
}

// What the running operation waits for may hang: an end does not wait for it longer than for its own.
void Lifecycle::ExitIsWanted() {
  exit_wanted_ = true;
  const int64_t soon_ns = MonotonicNs() + policy_.exit_deadline_ns;
  if (deadline_ && deadline_at_ns_ > soon_ns) {
    deadline_->ArmAfter(policy_.exit_deadline_ns);
    deadline_at_ns_ = soon_ns;
  }
}

void Lifecycle::Exit(int status) {
  exiting_ = exit_wanted_ = true;
  PauseMachine(policy_.exit_deadline_ns, [this, status](Result<> paused) {
    if (!paused) {
      Log(LogLevel::kError, "exit: {}; ending anyway", paused.error().message);
    }
    FlushImages(policy_.exit_deadline_ns, [this, status](Result<> flushed) {
      if (!flushed) {
        Log(LogLevel::kError, "exit: {}", flushed.error().message);
      }
      parts_.exit(status);
    });
  });
}

}  // namespace nandu
