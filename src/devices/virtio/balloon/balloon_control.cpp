#include "devices/virtio/balloon/balloon_control.h"

#include <cstddef>
#include <cstring>
#include <utility>

namespace nandu {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

balloon::Config ShownOf(const BalloonState& state) {
  return {.num_pages = state.target,
          .actual = state.actual_written,
          .free_page_hint_cmd_id = 0,
          .poison_val = state.poison};
}

}  // namespace

BalloonControl::BalloonControl(ControlLoop& control, Clock& clock, std::function<void()> changed)
    : control_(control), clock_(clock), changed_(std::move(changed)) {}

// ---- monitors ----
void BalloonControl::SetTarget(uint32_t pages) {
  {
    const MutexLock lock(mutex_);
    state_.target = pages;
  }
  if (VirtioTransport* const transport = transport_) {
    transport->ConfigChanged();
  }
}

BalloonStats BalloonControl::Stats() const {
  const MutexLock lock(mutex_);
  return stats_;
}

void BalloonControl::SetStatsInterval(uint32_t seconds) {
  if (stats_interval_s_.exchange(seconds) == seconds) {
    return;
  }
  if (seconds != 0) {
    ArmStatsTimer();
  } else if (Timer* const timer = stats_timer_) {
    timer->Cancel();
  }
}

// ---- the guest half ----
balloon::Config BalloonControl::Shown() const { return ShownOf(Copy()); }

bool BalloonControl::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  bool changed = false;
  bool all_taken = false;
  {
    const MutexLock lock(mutex_);
    balloon::Config written = ShownOf(state_);
    std::memcpy(reinterpret_cast<std::byte*>(&written) + offset, bytes.data(), bytes.size());
    // 5.5.6.2.1: legacy drivers write actual from its lowest byte up, and only the highest makes it a number
    constexpr size_t kLastByte = offsetof(balloon::Config, actual) + sizeof(written.actual) - 1;
    state_.actual_written = written.actual;
    if (offset <= kLastByte && kLastByte < offset + bytes.size()) {
      changed = std::exchange(state_.actual, written.actual) != written.actual;
    }
    if ((state_.features & balloon::kFeaturePagePoison) != 0) {
      state_.poison = written.poison_val;
    }
    const balloon::Config now = ShownOf(state_);
    all_taken = std::memcmp(&now, &written, sizeof(now)) == 0;
  }
  if (changed) {
    PostChanged();
  }
  return all_taken;
}

void BalloonControl::FeaturesAccepted(uint64_t features) {
  const MutexLock lock(mutex_);
  state_.features = features;
}

// The target is the host's wish, and outlives the guest's reset. So does the number the driver wrote last, as
// with QEMU: it is true again once the next driver has written it.
void BalloonControl::Reset() {
  const MutexLock lock(mutex_);
  state_.features = 0;
  state_.poison = 0;
}

BalloonState BalloonControl::Copy() const {
  const MutexLock lock(mutex_);
  return state_;
}

void BalloonControl::Load(const BalloonState& state) {
  const MutexLock lock(mutex_);
  state_ = state;
}

void BalloonControl::PostChanged() {
  if (!change_posted_.exchange(true)) {
    control_.Post([weak = weak_from_this()] {
      if (const std::shared_ptr<BalloonControl> alive = weak.lock()) {
        alive->change_posted_ = false;
        alive->changed_();
      }
    });
  }
}

// ---- the data half ----
void BalloonControl::TakeStats(BalloonStats stats) {
  stats.last_update_s = clock_.RealtimeNs() / kNsPerSecond;
  {
    const MutexLock lock(mutex_);
    stats_ = stats;
  }
  ArmStatsTimer();
}

void BalloonControl::ArmStatsTimer() {
  Timer* const timer = stats_timer_;
  const int64_t interval_s = stats_interval_s_;
  if (timer != nullptr && interval_s != 0) {
    timer->Arm(clock_.VmNs() + interval_s * kNsPerSecond);
  }
}

}  // namespace nandu
