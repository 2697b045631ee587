// One host timer that fires when the test says so.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "qmp/event_throttle.h"

namespace nandu {

class FakeTimers {
 public:
  EventThrottle::MakeTimer maker() {
    return [this](UniqueFunction<void()> fire) {
      fire_ = std::move(fire);
      return std::make_unique<FakeHostTimer>(*this);
    };
  }
  int64_t armed_ns() const { return armed_ns_; }  // 0: it is not armed
  void Fire() {
    armed_ns_ = 0;
    fire_();
  }

 private:
  class FakeHostTimer final : public HostTimer {
   public:
    explicit FakeHostTimer(FakeTimers& owner) : owner_(owner) {}
    void ArmAfter(int64_t delay_ns) override { owner_.armed_ns_ = delay_ns; }
    void Cancel() override { owner_.armed_ns_ = 0; }

   private:
    FakeTimers& owner_;
  };

  UniqueFunction<void()> fire_;
  int64_t armed_ns_ = 0;
};

}  // namespace nandu
