// What firmware is told to boot: OpenFirmware paths as QEMU writes them, in the order of bootindex=.
#include "machine/boot_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/pci/pci_bus.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BootableDevice final : public Device {
 public:
  BootableDevice(std::string id, PciFunction* function, std::optional<BootChoice> choice)
      : id_(std::move(id)), function_(function), choice_(std::move(choice)) {}
  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return "test"; }
  std::string StatePath() const override { return "/test"; }
  PciFunction* pci() override { return function_; }
  std::optional<BootChoice> boot_choice() const override { return choice_; }
  void Reset() override {}
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }

 private:
  const std::string id_;
  PciFunction* const function_;
  const std::optional<BootChoice> choice_;
};

struct BootOrderTest : testing::Test {
  FakePciBoard board;
  FakeBridge port{"pci.1", board.root, pci::DevFn(5, 1), 1};
  PciFunction behind{"behind", TestIdentity(), true};
  PciFunction nic_function{"nic",
                           [] {
                             PciIdentity identity = TestIdentity();
                             identity.class_code = 0x020000;
                             return identity;
                           }(),
                           false};
  void SetUp() override {
    port.bus.Attach(behind, 0).value();
    board.root.Attach(nic_function, pci::DevFn(3, 0)).value();
  }
};

TEST_F(BootOrderTest, LowestFirstAndEachByItsWayFromTheRoot) {
  BootableDevice nic("nic", &nic_function, Device::BootChoice{3, "/ethernet-phy@0"});
  BootableDevice disk("disk", &behind, Device::BootChoice{1, "/disk@0,0"});
  BootableDevice other("other", nullptr, std::nullopt);
  Device* const devices[] = {&nic, &other, &disk};
  const BootRom rom{2, "genroms/x.bin"};
  EXPECT_THAT(BootOrder(devices, {&rom, 1}).value(),
              ElementsAre("/pci@i0cf8/pci-bridge@5,1/scsi@0/disk@0,0", "/rom@genroms/x.bin",
                          "/pci@i0cf8/ethernet@3/ethernet-phy@0"));
}

TEST_F(BootOrderTest, TwoOfOneIndexAreRefused) {
  BootableDevice nic("nic", &nic_function, Device::BootChoice{1, ""});
  BootableDevice disk("disk", &behind, Device::BootChoice{1, ""});
  Device* const devices[] = {&nic, &disk};
  EXPECT_THAT(BootOrder(devices, {}).error().message, HasSubstr("bootindex=1 is nic's already"));
}

}  // namespace
}  // namespace nandu
