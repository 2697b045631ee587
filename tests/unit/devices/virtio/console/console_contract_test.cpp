// The contract suite over virtio-console, on port 0's transmit queue.
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "devices/virtio/console/console_device.h"
#include "devices/virtio/device_contract.h"
#include "support/fake_chardev.h"
#include "support/fake_control_loop.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

struct ConsoleContract {
  static constexpr unsigned kQueue = 1;
  std::unique_ptr<VirtioDevice> Make() {
    auto device = std::make_unique<ConsoleDevice>(
        control, io, ConsoleDevice::Options{.max_ports = 2, .emergency_write = true});
    chardevs.push_back(std::make_shared<FakeChardev>("console"));
    EXPECT_TRUE(device->AddPort({PortKind::kConsole, std::nullopt, "", chardevs.back()}));
    return device;
  }
  SentChain Send(DriverRing& ring) { return ring.Chain().Readable("[    0.000000] Linux").Send(); }
  void Turn() { io.RunUntilIdle(); }
  void Settle() {
    do {
      io.RunUntilIdle();
      control.RunReady();
      io.RunUntilIdle();
    } while (control.posted() > 0);
  }

  FakeControlLoop control;
  ManualLoop io;
  std::vector<std::shared_ptr<FakeChardev>> chardevs;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Console, VirtioDeviceContract, ConsoleContract);

}  // namespace
}  // namespace nandu
