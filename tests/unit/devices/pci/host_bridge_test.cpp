#include "devices/pci/host_bridge.h"

#include <gtest/gtest.h>

#include "state/document.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

struct HostBridgeTest : testing::Test {
  AddressSpace memory{"memory", ~uint64_t{0}};
  AddressSpace io{"io", 65536};
  std::array<FakeIrqLine, Q35HostBridge::kPirqs> pirqs;
  std::array<uint8_t, Q35HostBridge::kPamRegisters> announced{};
  std::unique_ptr<Q35HostBridge> bridge = Make();

  std::unique_ptr<Q35HostBridge> Make() {
    Q35HostBridge::Options options;
    options.spaces = {&memory, &io};
    options.set_pirq = [this](unsigned pirq, bool level) { pirqs.at(pirq).Set(level); };
    options.pam_changed = [this](const auto& pam) { announced = pam; };
    return Q35HostBridge::Create(std::move(options)).value();
  }
  uint32_t Get(uint16_t reg) {
    (void)io.Write(0xcf8, 4, 0x80000000U | reg);
    return static_cast<uint32_t>(io.Read(0xcfc, 4));
  }
  void Set(uint16_t reg, uint32_t value) {
    (void)io.Write(0xcf8, 4, 0x80000000U | reg);
    (void)io.Write(0xcfc, 4, value);
  }
};

// As `inl 0xcfc` reads them on QEMU 7.2's q35 before firmware runs.
TEST_F(HostBridgeTest, RegistersAfterResetAreQemus) {
  const std::vector<std::pair<uint16_t, uint32_t>> expected = {
      {0x00, 0x29c08086}, {0x04, 0}, {0x08, 0x06000000}, {0x0c, 0}, {0x2c, 0x11001af4}, {0x34, 0}, {0x3c, 0},
      {0x60, 0xb0000000}, {0x64, 0}, {0x90, 0},          {0x94, 0}, {0x9c, 0x00380200}};
  for (const auto& [reg, value] : expected) {
    EXPECT_EQ(Get(reg), value) << "register " << reg;
  }
}

TEST_F(HostBridgeTest, PortsNeedTheEnableBitAndWholeAddresses) {
  (void)io.Write(0xcf8, 4, 0x00000000);
  EXPECT_EQ(io.Read(0xcfc, 4), 0xffffffffU);
  (void)io.Write(0xcf8, 4, 0x80000008);
  EXPECT_EQ(io.Read(0xcf8, 4), 0x80000008U);
  (void)io.Write(0xcf8, 1, 0x55);
  (void)io.Write(0xcf9, 1, 0x55);
  EXPECT_EQ(io.Read(0xcf8, 4), 0x80000008U);
  EXPECT_EQ(io.Read(0xcff, 1), 0x06U);
  EXPECT_EQ(io.Read(0xcfe, 2), 0x0600U);
}

TEST_F(HostBridgeTest, EcamAppearsWherePciexbarSays) {
  EXPECT_EQ(memory.Read(0xb0000000, 4), 0xffffffffU);
  bridge->EnableEcam(0xb0000000);
  EXPECT_EQ(memory.Read(0xb0000000, 4), 0x29c08086U);
  EXPECT_EQ(memory.Read(0xb0000000, 8), 0x29c08086U);
  EXPECT_EQ(memory.Read(0xb0000002, 2), 0x29c0U);
  EXPECT_EQ(memory.Read(0xb0000100, 4), 0xffffffffU);
  Set(0x60, 0xe0000001);
  EXPECT_EQ(memory.Read(0xb0000000, 4), 0xffffffffU);
  EXPECT_EQ(memory.Read(0xe0000000, 4), 0x29c08086U);
  Set(0x60, 0xe0000000);
  EXPECT_TRUE(memory.view()->ranges().empty());
}

TEST_F(HostBridgeTest, EcamLengthFollowsItsField) {
  Set(0x60, 0xd4000005);
  ASSERT_EQ(memory.view()->ranges().size(), 1U);
  EXPECT_EQ(memory.view()->ranges()[0].base, 0xd4000000U);
  EXPECT_EQ(memory.view()->ranges()[0].size, uint64_t{64} << 20);
  Set(0x60, 0xd4000003);
  EXPECT_EQ(memory.view()->ranges()[0].base, 0xd0000000U);
  EXPECT_EQ(memory.view()->ranges()[0].size, uint64_t{128} << 20);
  Set(0x60, 0xd0000007);
  EXPECT_TRUE(memory.view()->ranges().empty());
}

TEST_F(HostBridgeTest, EcamReachesTheExtendedRegistersOfItsFunctions) {
  PciFunction function("nic0", TestIdentity(), true);
  const uint16_t at =
      function.AddExtendedCapability(0x000d, 1, std::array<uint8_t, 4>{0x5f, 0, 0, 0}).value();
  bridge->root().Attach(function, pci::DevFn(2, 1)).value();
  bridge->EnableEcam(0xb0000000);
  EXPECT_EQ(memory.Read(0xb0000000 + (pci::DevFn(2, 1) << 12) + at, 8), 0x0000005f0001000dU);
  (void)memory.Write(0xb0000000 + (pci::DevFn(2, 1) << 12) + 0x3c, 1, 0x0b);
  EXPECT_EQ(function.ReadConfig(0x3c, 1), 0x0bU);
}

TEST_F(HostBridgeTest, PamRegistersAreStoredAndAnnounced) {
  Set(0x90, 0xffffffff);
  EXPECT_EQ(Get(0x90), 0x33333330U);
  EXPECT_EQ(announced, (std::array<uint8_t, 7>{0x30, 0x33, 0x33, 0x33, 0, 0, 0}));
  bridge->Reset();
  EXPECT_EQ(announced, (std::array<uint8_t, 7>{}));
}

TEST_F(HostBridgeTest, ALockedSmramStaysUntilReset) {
  Set(0x9c, 0xffffffff);
  EXPECT_EQ(Get(0x9c), 0x00bf3a00U);
  Set(0x9c, 0);
  EXPECT_EQ(Get(0x9c), 0x00bf1a00U);
  bridge->Reset();
  EXPECT_EQ(Get(0x9c), 0x00380200U);
  Set(0x9c, 0x00004800);
  EXPECT_EQ(Get(0x9c), 0x00384a00U);
}

TEST_F(HostBridgeTest, SlotsAreWiredToPirqsAsOnQ35) {
  EXPECT_EQ(bridge->root().RootLine(pci::DevFn(2, 0), 0), 6U);
  EXPECT_EQ(bridge->root().RootLine(pci::DevFn(24, 0), 1), 5U);
  EXPECT_EQ(bridge->root().RootLine(pci::DevFn(31, 2), 0), 0U);
  EXPECT_EQ(bridge->root().RootLine(pci::DevFn(30, 0), 3), 7U);
  PciFunction function("disk0", TestIdentity(), false);
  bridge->root().Attach(function, pci::DevFn(3, 0)).value();
  function.SetIntx(true);
  EXPECT_TRUE(pirqs[7].level());
}

TEST_F(HostBridgeTest, StateComesBack) {
  bridge->EnableEcam(0xc0000000);
  Set(0x9c, 0x00001800);
  (void)io.Write(0xcf8, 4, 0x80001234);
  StateDocument document;
  bridge->Save(StateWriter(document, bridge->StatePath()));
  bridge->Reset();
  ASSERT_TRUE(bridge->Load(StateReader(document, "/machine/pcie.0/00.0")).has_value());
  EXPECT_EQ(io.Read(0xcf8, 4), 0x80001234U);
  EXPECT_EQ(memory.Read(0xc0000000, 4), 0x29c08086U);
  Set(0x9c, 0);
  EXPECT_EQ(Get(0x9c), 0x00381a00U);
}

}  // namespace
}  // namespace nandu
