// The VM's memory balloon as monitors command it: how much memory the guest is to give, how much it gave, and what it says of its memory.
// Control loop, all of it. A device offers it to the machine (DeviceHost::OfferBalloon).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nandu {

// What the guest last told. QMP's guest-stats names, in the order of the tags of virtio 1.2, 5.5.6.3.
struct BalloonStats {
  static constexpr std::array<std::string_view, 10> kNames = {
      "stat-swap-in",      "stat-swap-out",         "stat-major-faults", "stat-minor-faults",  "stat-free-memory",
      "stat-total-memory", "stat-available-memory", "stat-disk-caches",  "stat-htlb-pgalloc", "stat-htlb-pgfail"};
  static constexpr uint64_t kUnknown = ~uint64_t{0};  // the guest did not say

  BalloonStats() { values.fill(kUnknown); }
  std::array<uint64_t, kNames.size()> values;  // bytes, faults, pages
  int64_t last_update_s = 0;                   // since 1970 UTC; 0: never
};

class Balloon {
 public:
  static constexpr uint64_t kPageBytes = 4096;

  Balloon() = default;
  Balloon(const Balloon&) = delete;
  Balloon& operator=(const Balloon&) = delete;
  virtual ~Balloon() = default;

  // How many pages of kPageBytes the guest is to be without. It follows in its own time, if at all.
  virtual void SetTarget(uint32_t pages) = 0;
  // How many it says it is without; DeviceHost::BalloonChanged tells of a change.
  virtual uint32_t actual_pages() const = 0;

  virtual BalloonStats Stats() const = 0;
  // How often the guest is asked for statistics, in seconds of VM time; 0: never.
  virtual uint32_t stats_interval_s() const = 0;
  virtual void SetStatsInterval(uint32_t seconds) = 0;
};

}  // namespace nandu
