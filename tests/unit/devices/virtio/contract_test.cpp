// The contract suite over virtio-rng and virtio-blk.
#include <cstring>
#include <gtest/gtest.h>

#include "devices/virtio/blk/blk_device.h"
#include "devices/virtio/device_contract.h"
#include "devices/virtio/rng/rng_device.h"
#include "support/fake_clock.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

struct RngContract {
  static constexpr unsigned kQueue = 0;
  std::unique_ptr<VirtioDevice> Make() {
    return std::make_unique<RngDevice>(loop, clock, std::make_unique<HostEntropy>(), RngLimit{});
  }
  SentChain Send(DriverRing& ring) { return ring.Chain().Writable(16).Send(); }
  void Turn() { loop.RunUntilIdle(); }
  void Settle() { loop.RunUntilIdle(); }

  ManualLoop loop;
  FakeClock clock;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Rng, VirtioDeviceContract, RngContract);

// Its requests hang until Settle lets them go.
struct BlkContract {
  static constexpr unsigned kQueue = 1;
  std::unique_ptr<VirtioDevice> Make() {
    BlkDeviceConfig config;
    config.queues = 3;
    config.queue_size = 64;
    return BlkDevice::Create(std::move(config), loop, node).value();
  }
  SentChain Send(DriverRing& ring) {
    return ring.Chain().Header(blk::RequestHeader{blk::kTypeIn, 0, 1}).Writable(512).Writable(1).Send();
  }
  void Turn() { loop.RunUntilIdle(); }
  void Settle() {
    loop.RunUntilIdle();
    while (node->in_flight() > 0) {
      node->ReleaseAll();
      loop.RunUntilIdle();
    }
  }

  ManualLoop loop;
  std::shared_ptr<HangingBlockNode> node = std::make_shared<HangingBlockNode>(64 * 1024);
};
INSTANTIATE_TYPED_TEST_SUITE_P(Blk, VirtioDeviceContract, BlkContract);

}  // namespace
}  // namespace nandu
