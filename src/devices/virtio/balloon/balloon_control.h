// What a balloon's two halves and its monitors share: the configuration, the guest's statistics, and who is
// told of a change. Any thread, under its own leaf mutex, but for Balloon's (control loop).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <nandu/balloon.h>
#include <nandu/clock.h>

#include "base/described.h"
#include "base/thread_annotations.h"
#include "devices/virtio/balloon/balloon_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/control_loop.h"

namespace nandu {

struct BalloonState {
  uint64_t features = 0;        // the balloon's own, as the driver accepted them
  uint32_t target = 0;          // pages
  uint32_t actual = 0;          // pages, as the driver says
  uint32_t actual_written = 0;  // the register: a legacy driver writes it byte by byte
  uint32_t poison = 0;
};
BOOST_DESCRIBE_STRUCT(BalloonState, (), (features, target, actual, actual_written, poison))

class BalloonControl final : public Balloon, public std::enable_shared_from_this<BalloonControl> {
 public:
  // `changed` runs on the control loop, once for any number of changes that came before it ran.
  BalloonControl(ControlLoop& control, Clock& clock, std::function<void()> changed);

  // What is there while the device is; null afterwards. Control thread.
  void SetTransport(VirtioTransport* transport) { transport_ = transport; }
  void SetStatsTimer(Timer* timer) { stats_timer_ = timer; }

  // ---- Balloon ----
  void SetTarget(uint32_t pages) override;
  uint32_t actual_pages() const override { return Copy().actual; }
  BalloonStats Stats() const override;
  uint32_t stats_interval_s() const override { return stats_interval_s_; }
  void SetStatsInterval(uint32_t seconds) override;

  // ---- the guest half's ----
  balloon::Config Shown() const;
  bool WriteConfig(uint32_t offset, std::span<const std::byte> bytes);  // false: some of it was ignored
  void FeaturesAccepted(uint64_t features);
  void Reset();
  BalloonState Copy() const;
  void Load(const BalloonState& state);  // checked

  // ---- the data half's, while the device is active ----
  void TakeStats(BalloonStats stats);
  void ArmStatsTimer();  // when the guest is asked next

 private:
  void PostChanged();

  ControlLoop& control_;
  Clock& clock_;
  const std::function<void()> changed_;
  std::atomic<VirtioTransport*> transport_{nullptr};
  std::atomic<Timer*> stats_timer_{nullptr};
  std::atomic<uint32_t> stats_interval_s_{0};
  std::atomic<bool> change_posted_{false};
  mutable Mutex mutex_;
  BalloonState state_ NANDU_TA(guarded_by(mutex_));
  BalloonStats stats_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
