// The contract suite over each of a balloon's queues.
#include <cstring>
#include <gtest/gtest.h>

#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/device_contract.h"
#include "support/fake_clock.h"
#include "support/fake_control_loop.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

struct BalloonContract {
  std::unique_ptr<VirtioDevice> Make() {
    const BalloonDeviceConfig config{.free_page_reporting = true, .stats_interval_s = 1};
    return std::make_unique<BalloonDevice>(config, loop, clock,
                                           std::make_shared<BalloonControl>(control, clock, [] {}));
  }
  void Turn() { loop.RunUntilIdle(); }
  void Settle() {
    loop.RunUntilIdle();
    control.RunReady();
  }

  ManualLoop loop;
  FakeControlLoop control;
  FakeClock clock;
};

// The pages that are given away lie above everything the driver uses.
constexpr uint32_t kPage = (uint32_t{60} << 20) / balloon::kPageBytes;

struct InflateContract : BalloonContract {
  static constexpr unsigned kQueue = balloon::kInflateQueue;
  SentChain Send(DriverRing& ring) {
    return ring.Chain().Header(std::array<uint32_t, 3>{kPage, kPage + 1, kPage + 5}).Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(BalloonInflate, VirtioDeviceContract, InflateContract);

struct DeflateContract : BalloonContract {
  static constexpr unsigned kQueue = balloon::kDeflateQueue;
  SentChain Send(DriverRing& ring) { return ring.Chain().Header(kPage).Send(); }
};
INSTANTIATE_TYPED_TEST_SUITE_P(BalloonDeflate, VirtioDeviceContract, DeflateContract);

struct ReportContract : BalloonContract {
  static constexpr unsigned kQueue = balloon::kReportingQueue;
  SentChain Send(DriverRing& ring) {
    return ring.Chain().At(uint64_t{kPage} * balloon::kPageBytes, 2 * balloon::kPageBytes, kDescWrite).Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(BalloonReport, VirtioDeviceContract, ReportContract);

// The last buffer stays with the device until it asks for new statistics.
struct StatsContract : BalloonContract {
  static constexpr unsigned kQueue = balloon::kStatsQueue;
  SentChain Send(DriverRing& ring) { return ring.Chain().Header(balloon::Stat{4, 4096}).Send(); }
  void Settle() {
    BalloonContract::Settle();
    clock.Advance(1'000'000'000);
    BalloonContract::Settle();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(BalloonStats, VirtioDeviceContract, StatsContract);

}  // namespace
}  // namespace nandu
