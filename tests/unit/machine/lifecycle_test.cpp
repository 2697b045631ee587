#include "machine/lifecycle.h"

#include <boost/json/object.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A device that goes quiet when the test says so, and writes down what it is asked.
class StubDevice final : public Device {
 public:
  explicit StubDevice(std::vector<std::string>* log) : log_(log) {}
  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return "stub"; }
  std::string StatePath() const override { return "/machine/stub"; }
  void Reset() override { log_->emplace_back("device reset"); }
  void Quiesce(UniqueFunction<void()> done) override {
    log_->emplace_back("quiesce");
    done_.push_back(std::move(done));
    if (!hangs) {
      FinishQuiesce();
    }
  }
  std::vector<std::string> StuckRequests() const override { return {"write at 4096"}; }
  void Resume() override { log_->emplace_back("device resume"); }
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }

  void FinishQuiesce() {
    for (const UniqueFunction<void()>& done : std::exchange(done_, {})) {
      done();
    }
  }
  bool hangs = false;

 private:
  const std::string id_ = "disk0";
  std::vector<std::string>* log_;
  std::vector<UniqueFunction<void()>> done_;  // of all that asked and were not told yet
};

class LifecycleTest : public testing::Test {
 protected:
  void Make(const Lifecycle::Policy& policy = {}) {
    lifecycle_.reset();  // of a VM before, and its clock, which has a timer of its loop's
    clock_.reset();
    loop_ = ControlLoop::Create().value();
    clock_ = VmClock::Create(*loop_);
    LifecycleParts parts;
    parts.pause_vcpus = [this](UniqueFunction<void()> done) {
      log_.emplace_back("pause vcpus");
      done();
    };
    parts.resume_vcpus = [this] { log_.emplace_back("resume vcpus"); };
    parts.devices = [this]() -> const std::vector<Device*>& { return devices_; };
    parts.reset_board = [this]() -> Result<> {
      log_.emplace_back("reset board");
      return board_;
    };
    parts.flush = [this](UniqueFunction<void(Result<>)> done) {
      log_.emplace_back("flush");
      if (flush_hangs_) {
        hung_flush_ = std::move(done);
      } else {
        done({});
      }
    };
    parts.emit = [this](std::string_view event, boost::json::object data) {
      log_.push_back(std::string(event) + (data.empty() ? "" : " " + JsonText(data)));
    };
    parts.inject_nmi = [this] { log_.emplace_back("nmi"); };
    parts.forget_errors = [this] { ++errors_forgotten_; };
    parts.exit = [this](int status) {
      log_.push_back("exit " + std::to_string(status));
      loop_->Stop();
    };
    parts.power_down = [this] { log_.emplace_back("power down"); };
    lifecycle_ = std::make_unique<Lifecycle>(*loop_, *clock_, std::move(parts), policy);
  }
  // A running VM with nothing written down yet.
  void MakeRunning(const Lifecycle::Policy& policy = {}) {
    Make(policy);
    lifecycle_->Start(false);
    loop_->RunReady();
    log_.clear();
  }
  Lifecycle::Done Note(std::string what) {
    return [this, what = std::move(what)](const Result<>& result) {
      log_.push_back(what + (result ? " ok" : " failed: " + result.error().message));
    };
  }
  std::vector<std::string> Log() {
    loop_->RunReady();
    return std::exchange(log_, {});
  }

  std::vector<std::string> log_;
  StubDevice device_{&log_};
  std::vector<Device*> devices_{&device_};
  Result<> board_;
  bool flush_hangs_ = false;
  unsigned errors_forgotten_ = 0;
  UniqueFunction<void(Result<>)> hung_flush_;
  std::unique_ptr<ControlLoop> loop_;
  std::unique_ptr<VmClock> clock_;
  std::unique_ptr<Lifecycle> lifecycle_;
};

TEST_F(LifecycleTest, StartRunsDevicesBeforeVcpus) {
  Make();
  lifecycle_->Start(false);
  EXPECT_THAT(Log(), ElementsAre("device resume", "resume vcpus", "RESUME"));
  EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
}

TEST_F(LifecycleTest, StartPausedWaitsForCont) {
  Make();
  lifecycle_->Start(true);
  EXPECT_THAT(Log(), IsEmpty());
  EXPECT_EQ(lifecycle_->state(), RunState::kPrelaunch);
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), ElementsAre("device resume", "resume vcpus", "RESUME", "cont ok"));
}

TEST_F(LifecycleTest, ContForgetsDisksErrorsAndNothingElseDoes) {
  MakeRunning();
  lifecycle_->Stop(RunState::kIoError, Note("stop"));
  lifecycle_->SystemReset();
  lifecycle_->Cont(Note("cont"));
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), testing::Contains("cont ok").Times(2));
  EXPECT_EQ(errors_forgotten_, 1U) << "a VM that runs has nothing to go on with";
}

TEST_F(LifecycleTest, StopTakesVcpusOutBeforeDevicesAndFlushesLast) {
  MakeRunning();
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce", "STOP", "flush", "stop ok"));
  EXPECT_EQ(lifecycle_->state(), RunState::kPaused);
  EXPECT_EQ(lifecycle_->phase(), Phase::kPaused);
}

TEST_F(LifecycleTest, StopWhileStoppedSucceedsAndChangesNothing) {
  MakeRunning();
  lifecycle_->Stop(RunState::kPaused, Note("first"));
  Log();
  lifecycle_->Stop(RunState::kIoError, Note("second"));
  EXPECT_THAT(Log(), ElementsAre("second ok"));
  EXPECT_EQ(lifecycle_->state(), RunState::kPaused);
}

TEST_F(LifecycleTest, StopPastItsDeadlineNamesTheRequestAndTheGuestGoesOn) {
  Lifecycle::Policy policy;
  policy.pause_deadline_ns = 1;
  device_.hangs = true;
  MakeRunning(policy);
  lifecycle_->Stop(RunState::kPaused, [this](const Result<>& result) {
    log_.push_back(result.error().message);
    loop_->Stop();
  });
  loop_->Run();
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce", "resume vcpus",
                                 "requests in flight did not finish in time: disk0: write at 4096"));
  EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
  device_.FinishQuiesce();
  EXPECT_THAT(Log(), ElementsAre("device resume"));
}

TEST_F(LifecycleTest, DeviceThatMissedAnEarlierPauseIsQuietInTheNext) {
  Lifecycle::Policy policy;
  policy.pause_deadline_ns = 200'000'000;
  device_.hangs = true;
  MakeRunning(policy);
  lifecycle_->Stop(RunState::kPaused, [this](const Result<>& /*missed*/) { loop_->Stop(); });
  loop_->Run();
  Log();
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce"));
  device_.FinishQuiesce();  // tells both
  EXPECT_THAT(Log(), ElementsAre("STOP", "flush", "stop ok"));
}

TEST_F(LifecycleTest, StopWhoseFlushHangsSaysSo) {
  Lifecycle::Policy policy;
  policy.pause_deadline_ns = 1;
  flush_hangs_ = true;
  MakeRunning(policy);
  lifecycle_->Stop(RunState::kPaused, [this](const Result<>& result) {
    log_.push_back(result.error().message);
    loop_->Stop();
  });
  loop_->Run();
  EXPECT_THAT(Log(),
              ElementsAre("pause vcpus", "quiesce", "STOP", "flush", HasSubstr("not flushed in time")));
  EXPECT_EQ(lifecycle_->state(), RunState::kPaused);
  EXPECT_TRUE(lifecycle_->stuck());
  hung_flush_({});
  EXPECT_FALSE(lifecycle_->stuck());
}

TEST_F(LifecycleTest, OperationsWaitForTheOneThatRuns) {
  device_.hangs = true;
  MakeRunning();
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce"));
  device_.FinishQuiesce();
  EXPECT_THAT(Log(),
              ElementsAre("STOP", "flush", "stop ok", "device resume", "resume vcpus", "RESUME", "cont ok"));
}

TEST_F(LifecycleTest, GuestResetKeepsRunning) {
  MakeRunning();
  lifecycle_->RequestReset("guest-reset");
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce", "reset board",
                                 R"(RESET {"guest": true, "reason": "guest-reset"})", "device resume",
                                 "resume vcpus"));
  EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
}

TEST_F(LifecycleTest, ResetWhilePausedLeavesItPrelaunch) {
  MakeRunning();
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  Log();
  lifecycle_->SystemReset();
  EXPECT_THAT(Log(),
              ElementsAre("reset board", R"(RESET {"guest": false, "reason": "host-qmp-system-reset"})"));
  EXPECT_EQ(lifecycle_->state(), RunState::kPrelaunch);
}

TEST_F(LifecycleTest, ResetThatCannotLoadItsKernelStopsWithAnInternalError) {
  MakeRunning();
  board_ = Fail(Errc::kIo, "vmlinuz is gone");
  lifecycle_->RequestReset("guest-reset");
  Log();
  EXPECT_EQ(lifecycle_->state(), RunState::kInternalError);
}

TEST_F(LifecycleTest, BoardThatCouldNotBeResetDoesNotRun) {
  MakeRunning();
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  board_ = Fail(Errc::kIo, "vmlinuz is gone");
  lifecycle_->SystemReset();
  Log();
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), ElementsAre("cont failed: the last reset failed: vmlinuz is gone"));
}

TEST_F(LifecycleTest, ShutdownAskedForBeforeAStopKeepsTheStopsState) {
  Lifecycle::Policy policy;
  policy.shutdown = ShutdownAction::kPause;
  MakeRunning(policy);
  lifecycle_->RequestShutdown("guest-shutdown");
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  Log();
  EXPECT_EQ(lifecycle_->state(), RunState::kPaused);
}

TEST_F(LifecycleTest, NoRebootEndsInstead) {
  Lifecycle::Policy policy;
  policy.reboot = RebootAction::kShutdown;
  MakeRunning(policy);
  lifecycle_->RequestReset("guest-reset");
  EXPECT_THAT(Log(), ElementsAre(R"(SHUTDOWN {"guest": true, "reason": "guest-reset"})", "pause vcpus",
                                 "quiesce", "flush", "exit 0"));
}

TEST_F(LifecycleTest, NoShutdownStopsAndAsksForAReset) {
  Lifecycle::Policy policy;
  policy.shutdown = ShutdownAction::kPause;
  MakeRunning(policy);
  lifecycle_->RequestShutdown("guest-shutdown");
  EXPECT_THAT(Log(), ElementsAre(R"(SHUTDOWN {"guest": true, "reason": "guest-shutdown"})", "pause vcpus",
                                 "quiesce", "STOP", "flush"));
  EXPECT_EQ(lifecycle_->state(), RunState::kShutdown);
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), ElementsAre("cont failed: Resetting the Virtual Machine is required"));
  lifecycle_->SystemReset();
  lifecycle_->Cont(Note("cont"));
  EXPECT_THAT(Log(), testing::Contains("cont ok"));
}

TEST_F(LifecycleTest, QuitDropsWhatWaits) {
  device_.hangs = true;
  MakeRunning();
  lifecycle_->Quit("host-qmp-quit");
  lifecycle_->Cont(Note("cont"));
  Log();
  device_.FinishQuiesce();
  EXPECT_THAT(Log(), ElementsAre("flush", "exit 0"));
}

TEST_F(LifecycleTest, QuitPastItsDeadlineEndsWithTheGuestStandingStill) {
  Lifecycle::Policy policy;
  policy.exit_deadline_ns = 1;
  device_.hangs = true;
  MakeRunning(policy);
  lifecycle_->Quit("host-signal");
  loop_->Run();
  EXPECT_THAT(Log(), ElementsAre(R"(SHUTDOWN {"guest": false, "reason": "host-signal"})", "pause vcpus",
                                 "quiesce", "flush", "exit 0"));
  EXPECT_TRUE(lifecycle_->stuck());
  device_.FinishQuiesce();
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(LifecycleTest, QuitDoesNotWaitForAPauseLongerThanForItsOwn) {
  Lifecycle::Policy policy;
  policy.pause_deadline_ns = 3'600'000'000'000;
  policy.exit_deadline_ns = 1;
  device_.hangs = true;
  MakeRunning(policy);
  lifecycle_->Stop(RunState::kPaused, Note("stop"));
  Log();
  lifecycle_->Quit("host-qmp-quit");
  loop_->Run();
  EXPECT_THAT(Log(),
              ElementsAre(R"(SHUTDOWN {"guest": false, "reason": "host-qmp-quit"})",
                          "stop failed: requests in flight did not finish in time: disk0: write at 4096",
                          "flush", "exit 0"));
}

TEST_F(LifecycleTest, QuitBeforeAPausesDeadlineIsSetShortensItToo) {
  Lifecycle::Policy policy;
  policy.pause_deadline_ns = 3'600'000'000'000;
  policy.exit_deadline_ns = 1;
  device_.hangs = true;
  MakeRunning(policy);
  lifecycle_->Stop(RunState::kPaused, Note("stop"));  // vCPUs are on their way out
  lifecycle_->Quit("host-qmp-quit");
  loop_->Run();
  EXPECT_THAT(Log(), testing::Contains("exit 0"));
}

TEST_F(LifecycleTest, QuitEndsAlthoughAFlushHangs) {
  Lifecycle::Policy policy;
  policy.exit_deadline_ns = 1;
  flush_hangs_ = true;
  MakeRunning(policy);
  lifecycle_->RequestExit(3);
  loop_->Run();
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce", "flush", "exit 3"));
  EXPECT_TRUE(lifecycle_->stuck());
}

TEST_F(LifecycleTest, VmThatEndsInTimeIsNotStuck) {
  MakeRunning();
  lifecycle_->Quit("host-qmp-quit");
  Log();
  EXPECT_FALSE(lifecycle_->stuck());
}

TEST_F(LifecycleTest, DebugExitCarriesItsStatus) {
  MakeRunning();
  lifecycle_->RequestExit(85);
  EXPECT_THAT(Log(), ElementsAre("pause vcpus", "quiesce", "flush", "exit 85"));
}

TEST_F(LifecycleTest, PanicPowersOff) {
  MakeRunning();
  lifecycle_->GuestPanicked();
  EXPECT_THAT(Log(), ElementsAre(R"(GUEST_PANICKED {"action": "poweroff"})",
                                 R"(SHUTDOWN {"guest": true, "reason": "guest-panic"})", "pause vcpus",
                                 "quiesce", "flush", "exit 0"));
}

TEST_F(LifecycleTest, PanicMayBeAFailure) {
  Lifecycle::Policy policy;
  policy.panic = PanicAction::kExitFailure;
  MakeRunning(policy);
  lifecycle_->GuestPanicked();
  EXPECT_EQ(Log().back(), "exit 1");
}

TEST_F(LifecycleTest, PanicThatPausesWaitsForTheManager) {
  Lifecycle::Policy policy;
  policy.panic = PanicAction::kPause;
  MakeRunning(policy);
  lifecycle_->GuestPanicked();
  EXPECT_THAT(
      Log(), ElementsAre(R"(GUEST_PANICKED {"action": "pause"})", "pause vcpus", "quiesce", "STOP", "flush"));
  EXPECT_EQ(lifecycle_->state(), RunState::kGuestPanicked);
}

TEST_F(LifecycleTest, VmThatStaysAfterAShutdownStaysAfterAPanic) {
  Lifecycle::Policy policy;
  policy.shutdown = ShutdownAction::kPause;
  MakeRunning(policy);
  lifecycle_->GuestPanicked();
  EXPECT_THAT(
      Log(), ElementsAre(R"(GUEST_PANICKED {"action": "pause"})", "pause vcpus", "quiesce", "STOP", "flush"));
}

TEST_F(LifecycleTest, PanicThatIsOnlyToldLeavesTheGuestRunning) {
  Lifecycle::Policy policy;
  policy.panic = PanicAction::kNone;
  MakeRunning(policy);
  lifecycle_->GuestPanicked();
  lifecycle_->GuestCrashLoaded();
  EXPECT_THAT(Log(),
              ElementsAre(R"(GUEST_PANICKED {"action": "run"})", R"(GUEST_CRASHLOADED {"action": "run"})"));
  EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
}

TEST_F(LifecycleTest, WatchdogResets) {
  MakeRunning();
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(), ElementsAre(R"(WATCHDOG {"action": "reset"})", "pause vcpus", "quiesce", "reset board",
                                 R"(RESET {"guest": true, "reason": "guest-reset"})", "device resume",
                                 "resume vcpus"));
}

TEST_F(LifecycleTest, WatchdogPauses) {
  Lifecycle::Policy policy;
  policy.watchdog = WatchdogAction::kPause;
  MakeRunning(policy);
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(),
              ElementsAre(R"(WATCHDOG {"action": "pause"})", "pause vcpus", "quiesce", "STOP", "flush"));
  EXPECT_EQ(lifecycle_->state(), RunState::kWatchdog);
}

TEST_F(LifecycleTest, WatchdogPressesThePowerButton) {
  Lifecycle::Policy policy;
  policy.watchdog = WatchdogAction::kShutdown;
  MakeRunning(policy);
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(), ElementsAre(R"(WATCHDOG {"action": "shutdown"})", "power down"));
}

TEST_F(LifecycleTest, WatchdogPullsThePlug) {
  Lifecycle::Policy policy;
  policy.watchdog = WatchdogAction::kPoweroff;
  MakeRunning(policy);
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(),
              ElementsAre(R"(WATCHDOG {"action": "poweroff"})", "pause vcpus", "quiesce", "flush", "exit 0"));
}

TEST_F(LifecycleTest, WatchdogThatIsOnlyToldLeavesTheGuestRunning) {
  for (const WatchdogAction action : {WatchdogAction::kNone, WatchdogAction::kDebug}) {
    Lifecycle::Policy policy;
    policy.watchdog = action;
    MakeRunning(policy);
    lifecycle_->WatchdogExpired();
    EXPECT_EQ(Log().size(), 1u);
    EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
  }
}

TEST_F(LifecycleTest, WatchdogInjectsAnNmi) {
  Lifecycle::Policy policy;
  policy.watchdog = WatchdogAction::kInjectNmi;
  MakeRunning(policy);
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(), ElementsAre(R"(WATCHDOG {"action": "inject-nmi"})", "nmi"));
  EXPECT_EQ(lifecycle_->state(), RunState::kRunning);
}

TEST_F(LifecycleTest, ActionsChangeWhileItRuns) {
  MakeRunning({});
  ActionChanges changes;
  changes.watchdog = WatchdogAction::kNone;
  lifecycle_->SetActions(changes);
  lifecycle_->WatchdogExpired();
  EXPECT_THAT(Log(), ElementsAre(R"(WATCHDOG {"action": "none"})"));
  changes = {};
  changes.panic = PanicAction::kPause;
  lifecycle_->SetActions(changes);
  lifecycle_->WatchdogExpired();
  lifecycle_->GuestPanicked();
  EXPECT_THAT(Log(), ElementsAre(R"(WATCHDOG {"action": "none"})", R"(GUEST_PANICKED {"action": "pause"})",
                                 "pause vcpus", "quiesce", "STOP", "flush"))
      << "what was not named stays";
  changes = {};
  changes.reboot = RebootAction::kShutdown;
  changes.shutdown = ShutdownAction::kPause;
  lifecycle_->SetActions(changes);
  lifecycle_->SystemReset();
  EXPECT_THAT(Log(), testing::Contains(HasSubstr("SHUTDOWN")));
  EXPECT_FALSE(lifecycle_->stuck());
}

}  // namespace
}  // namespace nandu
