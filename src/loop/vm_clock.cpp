// The VM clock: host monotonic time while the VM runs, standing still while it is paused. Timers are armed
// from any thread and fire on the control loop; one host timer stands behind all of them.
#include <algorithm>
#include <limits>
#include <set>
#include <time.h>
#include <utility>

#include "base/time.h"
#include "loop/control_loop.h"

namespace nandu {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class VmClockImpl;

// Shared by the owner's Timer and the clock. All under the clock's mutex but `fire`, which is the control
// loop's.
struct TimerEntry {
  UniqueFunction<void()> fire;
  int64_t deadline_ns = kNever;
};

// What timers and posted work share with the clock; outlives it.
struct ClockCore {
  explicit ClockCore(ControlLoop& control) : loop(control) {}

  int64_t VmNsLocked() const NANDU_TA(requires_capability(mutex)) {
    return frozen ? offset_ns : MonotonicNs() + offset_ns;
  }
  struct Earlier {
    bool operator()(const std::shared_ptr<TimerEntry>& a, const std::shared_ptr<TimerEntry>& b) const {
      return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a.get() < b.get();
    }
  };

  ControlLoop& loop;
  mutable Mutex mutex;
  bool frozen NANDU_TA(guarded_by(mutex)) = true;
  int64_t offset_ns NANDU_TA(guarded_by(mutex)) =
      0;  // frozen: the clock's value; else what to add to the host's
  std::set<std::shared_ptr<TimerEntry>, Earlier> armed NANDU_TA(guarded_by(mutex));
  bool rearm_posted NANDU_TA(guarded_by(mutex)) = false;
  std::unique_ptr<HostTimer> host_timer;  // control loop; null once the clock is gone
};

// Control loop: points the host timer at the earliest deadline.
void RearmOnLoop(ClockCore& core) {
  int64_t delay_ns = kNever;
  {
    const MutexLock lock(core.mutex);
    core.rearm_posted = false;
    if (!core.frozen && !core.armed.empty()) {
      delay_ns = std::max<int64_t>((*core.armed.begin())->deadline_ns - core.VmNsLocked(), 0);
    }
  }
  if (!core.host_timer) {
    return;
  }
  if (delay_ns == kNever) {
    core.host_timer->Cancel();
  } else {
    core.host_timer->ArmAfter(delay_ns);
  }
}

// Each timer once per round: one that arms itself again in the past must not keep the loop.
void FireExpired(ClockCore& core) {
  size_t left = 0;
  {
    const MutexLock lock(core.mutex);
    left = core.armed.size();
  }
  for (; left > 0; --left) {
    std::shared_ptr<TimerEntry> expired;
    {
      const MutexLock lock(core.mutex);
      if (core.frozen || core.armed.empty() || (*core.armed.begin())->deadline_ns > core.VmNsLocked()) {
        break;
      }
      expired = *core.armed.begin();
      core.armed.erase(core.armed.begin());
    }
    expired->fire();
  }
  RearmOnLoop(core);
}

void RequestRearm(const std::shared_ptr<ClockCore>& core) {
  {
    const MutexLock lock(core->mutex);
    if (std::exchange(core->rearm_posted, true)) {
      return;
    }
  }
  core->loop.Post([core] { RearmOnLoop(*core); });
}

class VmTimer final : public Timer {
 public:
  VmTimer(std::shared_ptr<ClockCore> core, UniqueFunction<void()> fire)
      : core_(std::move(core)), entry_(std::make_shared<TimerEntry>()) {
    entry_->fire = std::move(fire);
  }
  ~VmTimer() override { Cancel(); }
  void Arm(int64_t deadline_ns) override {
    bool is_first = false;
    {
      const MutexLock lock(core_->mutex);
      core_->armed.erase(entry_);
      entry_->deadline_ns = deadline_ns;
      core_->armed.insert(entry_);
      is_first = *core_->armed.begin() == entry_ && !core_->frozen;
    }
    if (is_first) {
      RequestRearm(core_);
    }
  }
  // The host timer is left as it is: it finds nothing expired.
  void Cancel() override {
    const MutexLock lock(core_->mutex);
    core_->armed.erase(entry_);
  }

 private:
  std::shared_ptr<ClockCore> core_;
  std::shared_ptr<TimerEntry> entry_;
};

class VmClockImpl final : public VmClock {
 public:
  explicit VmClockImpl(ControlLoop& loop) : core_(std::make_shared<ClockCore>(loop)) {
    core_->host_timer = loop.CreateHostTimer([core = core_.get()] { FireExpired(*core); });
  }
  ~VmClockImpl() override { core_->host_timer.reset(); }

  int64_t VmNs() const override {
    const MutexLock lock(core_->mutex);
    return core_->VmNsLocked();
  }
  int64_t RealtimeNs() const override {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
  std::unique_ptr<Timer> CreateTimer(UniqueFunction<void()> fire) override {
    return std::make_unique<VmTimer>(core_, std::move(fire));
  }
  void Freeze() override {
    {
      const MutexLock lock(core_->mutex);
      if (core_->frozen) {
        return;
      }
      core_->offset_ns = core_->VmNsLocked();
      core_->frozen = true;
    }
    RearmOnLoop(*core_);
  }
  void Thaw() override {
    {
      const MutexLock lock(core_->mutex);
      if (!core_->frozen) {
        return;
      }
      core_->offset_ns -= MonotonicNs();
      core_->frozen = false;
    }
    RearmOnLoop(*core_);
  }
  void SetVmNs(int64_t now_ns) override {
    const MutexLock lock(core_->mutex);
    if (core_->frozen) {
      core_->offset_ns = now_ns;
    }
  }

 private:
  std::shared_ptr<ClockCore> core_;
};

}  // namespace

std::unique_ptr<VmClock> VmClock::Create(ControlLoop& loop) { return std::make_unique<VmClockImpl>(loop); }

}  // namespace nandu
