// Time that passes when the test says so. Timers fire in the order of their deadlines, on the test's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <nandu/clock.h>

namespace nandu {

class FakeClock final : public Clock {
 public:
  int64_t VmNs() const override { return vm_ns_; }
  int64_t RealtimeNs() const override { return realtime_ns_; }
  std::unique_ptr<Timer> CreateTimer(UniqueFunction<void()> fire) override {
    auto timer = std::make_unique<FakeTimer>(*this, std::move(fire));
    timers_.push_back(timer.get());
    return timer;
  }

  void SetRealtimeNs(int64_t ns) { realtime_ns_ = ns; }
  // Lets time pass on both clocks, stopping at each deadline on the way.
  void Advance(int64_t ns) {
    const int64_t end = vm_ns_ + ns;
    while (FakeTimer* const next = NextBefore(end)) {
      MoveTo(std::max(vm_ns_, next->deadline_ns));
      next->armed = false;
      fired_++;
      next->fire();
    }
    MoveTo(end);
  }
  unsigned fired() const { return fired_; }
  size_t armed() const {
    return static_cast<size_t>(
        std::count_if(timers_.begin(), timers_.end(), [](const FakeTimer* timer) { return timer->armed; }));
  }

 private:
  struct FakeTimer final : Timer {
    FakeTimer(FakeClock& owner, UniqueFunction<void()> on_fire) : clock(owner), fire(std::move(on_fire)) {}
    ~FakeTimer() override { std::erase(clock.timers_, this); }
    void Arm(int64_t at_ns) override {
      deadline_ns = at_ns;
      armed = true;
    }
    void Cancel() override { armed = false; }

    FakeClock& clock;
    const UniqueFunction<void()> fire;
    int64_t deadline_ns = 0;
    bool armed = false;
  };

  FakeTimer* NextBefore(int64_t end) const {
    FakeTimer* next = nullptr;
    for (FakeTimer* const timer : timers_) {
      if (timer->armed && timer->deadline_ns <= end &&
          (next == nullptr || timer->deadline_ns < next->deadline_ns)) {
        next = timer;
      }
    }
    return next;
  }
  void MoveTo(int64_t vm_ns) {
    realtime_ns_ += vm_ns - vm_ns_;
    vm_ns_ = vm_ns;
  }

  int64_t vm_ns_ = 0;
  int64_t realtime_ns_ = 0;
  unsigned fired_ = 0;
  std::vector<FakeTimer*> timers_;
};

}  // namespace nandu
