#include "devices/pci/pci_bus.h"

#include <gtest/gtest.h>

#include "support/fake_pci.h"

namespace nandu {
namespace {

PciIdentity Multifunction() {
  PciIdentity identity = TestIdentity();
  identity.multifunction = true;
  return identity;
}

std::string Refusal(const Result<uint8_t>& result) { return result ? "accepted" : result.error().message; }

TEST(PciBusAttach, SlotsAreGivenFromTheLowestFreeOne) {
  FakePciBoard board;
  PciFunction host("mch", TestIdentity(), false);
  PciFunction second("disk0", TestIdentity(), false);
  PciFunction fixed("nic0", TestIdentity(), false);
  PciFunction next("rng0", TestIdentity(), false);
  EXPECT_EQ(board.root.Attach(host, 0).value(), pci::DevFn(0, 0));
  EXPECT_EQ(board.root.Attach(fixed, pci::DevFn(1, 0)).value(), pci::DevFn(1, 0));
  EXPECT_EQ(board.root.Attach(second, -1).value(), pci::DevFn(2, 0));
  EXPECT_EQ(board.root.Attach(next, -1).value(), pci::DevFn(3, 0));
}

TEST(PciBusAttach, ATakenPlaceIsNamed) {
  FakePciBoard board;
  PciFunction disk("virtio-blk", TestIdentity(), false);
  PciFunction nic("nic0", TestIdentity(), false);
  board.root.Attach(disk, pci::DevFn(2, 0)).value();
  EXPECT_EQ(Refusal(board.root.Attach(nic, pci::DevFn(2, 0))),
            "slot 2 function 0 of pcie.0 is taken by virtio-blk");
}

TEST(PciBusAttach, APortTakesSlotZeroOnly) {
  FakePciBoard board;
  FakeBridge port("pci.1", board.root, pci::DevFn(1, 0), 1);
  PciFunction nic("nic0", TestIdentity(), true);
  PciFunction disk("disk0", TestIdentity(), true);
  EXPECT_EQ(Refusal(port.bus.Attach(nic, pci::DevFn(3, 0))),
            "slot 3 does not exist on pci.1, which has slots 0 to 0");
  EXPECT_EQ(port.bus.Attach(nic, -1).value(), 0);
  EXPECT_EQ(Refusal(port.bus.Attach(disk, -1)),
            "no slot of pci.1 is free for disk0; add a pcie-root-port and put it there with bus=");
}

TEST(PciBusAttach, FurtherFunctionsNeedAMultifunctionOneAtZero) {
  FakePciBoard board;
  PciFunction single("disk0", TestIdentity(), false);
  PciFunction first("nic0", Multifunction(), false);
  PciFunction second("nic1", TestIdentity(), false);
  board.root.Attach(single, pci::DevFn(1, 0)).value();
  board.root.Attach(first, pci::DevFn(2, 0)).value();
  EXPECT_EQ(Refusal(board.root.Attach(second, pci::DevFn(1, 1))),
            "slot 1 function 1 of pcie.0 cannot be used: disk0 in function 0 has multifunction=off; set "
            "multifunction=on there");
  EXPECT_EQ(board.root.Attach(second, pci::DevFn(2, 1)).value(), pci::DevFn(2, 1));
  EXPECT_EQ(first.ReadConfig(pci::kHeaderType, 1), 0x80U);
}

TEST(PciBusAttach, FunctionZeroThatComesLastMustBeMultifunction) {
  FakePciBoard board;
  PciFunction later("nic1", TestIdentity(), false);
  PciFunction first("nic0", TestIdentity(), false);
  board.root.Attach(later, pci::DevFn(4, 3)).value();
  EXPECT_EQ(
      Refusal(board.root.Attach(first, pci::DevFn(4, 0))),
      "slot 4 of pcie.0 has nic1 in function 3: set multifunction=on for nic0, which becomes function 0");
}

struct TwoLevels : testing::Test {
  FakePciBoard board;
  FakeBridge upper{"pci.1", board.root, pci::DevFn(3, 0)};
  FakeBridge lower{"pci.2", upper.bus, pci::DevFn(1, 0)};
  PciFunction leaf{"leaf", TestIdentity(), true};
  std::shared_ptr<FakeIoHandler> registers = std::make_shared<FakeIoHandler>();

  void Number() {
    upper.Number(0, 1, 2);
    lower.Number(1, 2, 2);
  }
};

TEST_F(TwoLevels, ConfigurationCyclesFollowTheGuestsBusNumbers) {
  lower.bus.Attach(leaf, pci::DevFn(5, 0)).value();
  EXPECT_EQ(board.root.ReadConfig(2, pci::DevFn(5, 0), 0, 4), 0xffffffffU);
  Number();
  EXPECT_EQ(board.root.ReadConfig(2, pci::DevFn(5, 0), 0, 4), 0x10011af4U);
  EXPECT_EQ(board.root.ReadConfig(1, pci::DevFn(1, 0), 0, 4), 0x000c1b36U);
  EXPECT_EQ(board.root.ReadConfig(1, pci::DevFn(5, 0), 0, 2), 0xffffU);
  EXPECT_EQ(board.root.ReadConfig(3, pci::DevFn(5, 0), 0, 4), 0xffffffffU);
  upper.Number(0, 7, 9);
  lower.Number(7, 9, 9);
  EXPECT_EQ(board.root.ReadConfig(2, pci::DevFn(5, 0), 0, 4), 0xffffffffU);
  EXPECT_EQ(board.root.ReadConfig(9, pci::DevFn(5, 0), 0, 4), 0x10011af4U);
}

TEST_F(TwoLevels, WritesReachTheLeafAndVanishElsewhere) {
  lower.bus.Attach(leaf, pci::DevFn(5, 0)).value();
  Number();
  EXPECT_EQ(board.root.WriteConfig(2, pci::DevFn(5, 0), 0x3c, 1, 0x0b).token(), nullptr);
  EXPECT_EQ(board.root.WriteConfig(2, pci::DevFn(6, 0), 0x3c, 1, 0x0b).token(), nullptr);
  EXPECT_EQ(leaf.ReadConfig(0x3c, 1), 0x0bU);
}

TEST_F(TwoLevels, InterruptsTurnAtEveryBridge) {
  lower.bus.Attach(leaf, pci::DevFn(5, 0)).value();
  leaf.SetIntx(true);
  // INTA# in slot 5 is INTB# below lower, which in slot 1 is INTC# below upper, which in slot 3 of the root
  // is line 1.
  EXPECT_EQ(lower.bus.RootLine(leaf.devfn(), 0), 1U);
  EXPECT_TRUE(board.lines[1].level());
  leaf.SetIntx(false);
  EXPECT_FALSE(board.lines[1].level());
}

TEST(PciBusIntx, ASharedLineFallsWithTheLastRequest) {
  FakePciBoard board;
  PciFunction one("one", TestIdentity(), false);
  PciFunction two("two", TestIdentity(), false);
  board.root.Attach(one, pci::DevFn(2, 0)).value();
  board.root.Attach(two, pci::DevFn(6, 0)).value();
  one.SetIntx(true);
  one.SetIntx(true);
  two.SetIntx(true);
  one.SetIntx(false);
  EXPECT_TRUE(board.lines[2].level());
  two.SetIntx(false);
  EXPECT_FALSE(board.lines[2].level());
  EXPECT_EQ(board.lines[2].rises(), 1U);
}

TEST_F(TwoLevels, ABarIsMappedWhileEveryBridgeForwardsIt) {
  ASSERT_TRUE(leaf.AddBar(0, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  lower.bus.Attach(leaf, 0).value();
  (void)leaf.WriteConfig(0x10, 4, 0xfe200000);
  (void)leaf.WriteConfig(0x04, 2, pci::kCommandMemory);
  EXPECT_EQ(board.memory.Read(0xfe200010, 1), 0xffU);
  lower.OpenMemory(0xfe200000, 0xfe2fffff);
  EXPECT_EQ(board.memory.Read(0xfe200010, 1), 0xffU);
  upper.OpenMemory(0xfe000000, 0xfe2fffff);
  EXPECT_EQ(board.memory.Read(0xfe200010, 1), 0x10U);
  upper.OpenMemory(0xfe000000, 0xfe1fffff);
  EXPECT_EQ(board.memory.Read(0xfe200010, 1), 0xffU);
  upper.OpenMemory(0xfe000000, 0xfe2fffff);
  (void)upper.function.WriteConfig(0x04, 2, 0);
  EXPECT_EQ(board.memory.Read(0xfe200010, 1), 0xffU);
}

TEST_F(TwoLevels, APrefetchableWindowReaches64Bits) {
  ASSERT_TRUE(leaf.AddBar(0, BarKind::kMemory64Prefetchable, Region::Io(registers, 0x4000)).has_value());
  upper.bus.Attach(leaf, 0).value();
  (void)leaf.WriteConfig(0x10, 4, 0x00100000);
  (void)leaf.WriteConfig(0x14, 4, 0x80);
  (void)leaf.WriteConfig(0x04, 2, pci::kCommandMemory);
  (void)upper.function.WriteConfig(pci::kPrefetchBase, 4, 0x00100010);
  (void)upper.function.WriteConfig(pci::kPrefetchBaseUpper, 4, 0x80);
  (void)upper.function.WriteConfig(pci::kPrefetchLimitUpper, 4, 0x80);
  (void)upper.function.WriteConfig(0x04, 2, pci::kCommandMemory);
  EXPECT_EQ(board.memory.Read(0x8000100010, 1), 0x10U);
}

TEST_F(TwoLevels, AnIoWindowGatesIoBars) {
  ASSERT_TRUE(leaf.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
  upper.bus.Attach(leaf, 0).value();
  (void)leaf.WriteConfig(0x10, 4, 0xc040);
  (void)leaf.WriteConfig(0x04, 2, pci::kCommandIo);
  (void)upper.function.WriteConfig(0x04, 2, pci::kCommandIo);
  EXPECT_EQ(board.io.Read(0xc041, 1), 0xffU);
  (void)upper.function.WriteConfig(pci::kIoBase, 2, 0xc0c0);
  EXPECT_EQ(board.io.Read(0xc041, 1), 1U);
}

TEST_F(TwoLevels, ASecondaryBusResetReachesEverythingBelowAndParksUntilAllAreOver) {
  lower.bus.Attach(leaf, 0).value();
  const auto token = std::make_shared<ParkedExit>();
  leaf.SetResetHook([&token] { return ExitDone::Park(token); });
  Number();
  (void)leaf.WriteConfig(0x3c, 1, 0x0b);
  const ExitDone done = upper.function.WriteConfig(pci::kBridgeControl, 2, pci::kBridgeSecondaryReset);
  EXPECT_EQ(done.token(), token);
  EXPECT_EQ(leaf.ReadConfig(0x3c, 1), 0U);
  EXPECT_EQ(lower.function.ReadConfig(pci::kSecondaryBus, 1), 0U);
  EXPECT_EQ(upper.function.ReadConfig(pci::kSecondaryBus, 1), 1U);
  EXPECT_EQ(upper.function.WriteConfig(pci::kBridgeControl, 2, pci::kBridgeSecondaryReset).token(), nullptr);
}

TEST_F(TwoLevels, MemoryReachesFunctionsAttachedBeforeAndAfter) {
  PciFunction early("early", TestIdentity(), true);
  lower.bus.Attach(early, 0).value();
  board.root.SetMemory(TestMemory(0x1000));
  lower.bus.Attach(leaf, pci::DevFn(1, 0)).value();
  (void)early.WriteConfig(0x04, 2, pci::kCommandMaster);
  (void)leaf.WriteConfig(0x04, 2, pci::kCommandMaster);
  uint8_t value = 0;
  EXPECT_TRUE(early.dma().Read(0, &value, 1));
  EXPECT_TRUE(leaf.dma().Read(0, &value, 1));
}

TEST_F(TwoLevels, StatePathsAreSlotsNotBusNumbers) {
  EXPECT_EQ(board.root.StatePath(), "/machine/pcie.0");
  EXPECT_EQ(lower.bus.StatePath(), "/machine/pcie.0/03.0/01.0");
}

TEST_F(TwoLevels, FunctionsAreVisitedDepthFirst) {
  PciFunction last("last", TestIdentity(), false);
  board.root.Attach(last, pci::DevFn(9, 0)).value();
  lower.bus.Attach(leaf, 0).value();
  std::vector<std::string> names;
  board.root.ForEachFunction([&names](PciBus&, PciFunction& function) { names.push_back(function.name()); });
  EXPECT_EQ(names, (std::vector<std::string>{"pci.1", "pci.2", "leaf", "last"}));
}

}  // namespace
}  // namespace nandu
