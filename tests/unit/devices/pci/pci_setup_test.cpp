#include "devices/pci/pci_setup.h"

#include <gtest/gtest.h>

#include "support/fake_pci.h"

namespace nandu {
namespace {

struct PciSetupTest : testing::Test {
  FakePciBoard board;
  FakeBridge port_one{"pci.1", board.root, pci::DevFn(1, 0), 1};
  FakeBridge port_two{"pci.2", board.root, pci::DevFn(2, 0), 1};
  PciFunction disk{"disk0", TestIdentity(), true};
  PciFunction nic{"nic0", TestIdentity(), false};
  std::shared_ptr<FakeIoHandler> registers = std::make_shared<FakeIoHandler>();
  PciSetupOptions options;

  void SetUp() override {
    options.memory32 = {0xc0000000, 0xfec00000};
    options.memory64 = {0x100000000, 0x200000000};
    options.irq_of_line = {10, 10, 11, 11, 0xff, 0xff, 0xff, 0xff};
  }
  void AddDevices(uint64_t disk_bytes = 0x4000) {
    ASSERT_TRUE(disk.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
    ASSERT_TRUE(
        disk.AddBar(4, BarKind::kMemory64Prefetchable, Region::Io(registers, disk_bytes)).has_value());
    ASSERT_TRUE(nic.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
    ASSERT_TRUE(nic.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
    port_one.bus.Attach(disk, 0).value();
    board.root.Attach(nic, pci::DevFn(3, 0)).value();
  }
};

TEST_F(PciSetupTest, BusesAreNumberedDepthFirst) {
  FakeBridge nested("pci.3", port_one.bus, 0);
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(port_one.function.ReadConfig(pci::kPrimaryBus, 4), 0x00020100U);
  EXPECT_EQ(nested.function.ReadConfig(pci::kPrimaryBus, 4), 0x00020201U);
  EXPECT_EQ(port_two.function.ReadConfig(pci::kPrimaryBus, 4), 0x00030300U);
}

TEST_F(PciSetupTest, EveryBarIsReachableAfterwards) {
  AddDevices();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(disk.Bars()[0].address, 0xc0000000U);
  EXPECT_EQ(nic.Bars()[1].address, 0xc0100000U);
  EXPECT_EQ(disk.Bars()[1].address, 0xc0200000U);
  EXPECT_EQ(nic.Bars()[0].address, 0xc000U);
  EXPECT_EQ(board.memory.Read(0xc0000010, 1), 0x10U);
  EXPECT_EQ(board.memory.Read(0xc0100010, 1), 0x10U);
  EXPECT_EQ(board.memory.Read(0xc0200010, 1), 0x10U);
  EXPECT_EQ(board.io.Read(0xc010, 1), 0x10U);
  EXPECT_EQ(board.root.ReadConfig(1, 0, 0, 4), 0x10011af4U);
}

TEST_F(PciSetupTest, AllIsOneCommitPerAddressSpace) {
  AddDevices();
  const uint64_t memory = board.memory.generation();
  const uint64_t io = board.io.generation();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(board.memory.generation(), memory + 1);
  EXPECT_EQ(board.io.generation(), io + 1);
}

TEST_F(PciSetupTest, WindowsOfAnEmptyPortAreClosed) {
  AddDevices();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(port_one.function.ReadConfig(pci::kMemoryBase, 4), 0xc000c000U);
  EXPECT_EQ(port_one.function.ReadConfig(pci::kPrefetchBase, 4), 0xc021c021U);
  EXPECT_EQ(port_one.function.ReadConfig(pci::kIoBase, 2), 0x00f0U);
  EXPECT_EQ(port_two.function.ReadConfig(pci::kMemoryBase, 4), 0x0000fff0U);
  EXPECT_EQ(port_two.function.ReadConfig(pci::kPrefetchBase, 4), 0x0001fff1U);
  EXPECT_EQ(port_two.function.ReadConfig(pci::kCommand, 2), 0x0107U);
}

TEST_F(PciSetupTest, AFunctionWithoutBarsDecodesAsFirmwareLeavesIt) {
  PciFunction bare{"bare", TestIdentity(), false};
  board.root.Attach(bare, pci::DevFn(4, 0)).value();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(bare.ReadConfig(pci::kCommand, 2), 0x0103U);
}

TEST_F(PciSetupTest, ALargeBarMovesAbove4GiB) {
  AddDevices(uint64_t{1} << 30);
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(disk.Bars()[1].address, 0x100000000U);
  EXPECT_EQ(port_one.function.ReadConfig(pci::kPrefetchBaseUpper, 4), 1U);
  EXPECT_EQ(board.memory.Read(0x100000010, 1), 0x10U);
}

TEST_F(PciSetupTest, AWindowThatIsTooSmallIsNamed) {
  AddDevices(uint64_t{8} << 30);
  const Result<> done = SetUpPci(board.root, options);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().message,
            "the 64-bit PCI window of 0x100000000 bytes at 0x100000000 is too small: the devices need "
            "0x300000000 bytes; use "
            "fewer of them");
}

TEST_F(PciSetupTest, InterruptLinesComeFromTheTable) {
  AddDevices();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(nic.ReadConfig(pci::kInterruptLine, 1), 11U);   // slot 3, INTA#: line 3
  EXPECT_EQ(disk.ReadConfig(pci::kInterruptLine, 1), 10U);  // slot 0 below slot 1: line 1
}

TEST_F(PciSetupTest, ASecondRunAfterAResetGivesTheSameAddresses) {
  AddDevices();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  const std::vector<PciBarInfo> first = disk.Bars();
  board.root.Reset();
  EXPECT_TRUE(board.memory.view()->ranges().empty());
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(disk.Bars()[0].address, first[0].address);
  EXPECT_EQ(disk.Bars()[1].address, first[1].address);
}

TEST_F(PciSetupTest, LargerOnesComeFirst) {
  PciFunction small("small", TestIdentity(), false);
  PciFunction large("large", TestIdentity(), false);
  ASSERT_TRUE(small.AddBar(0, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  ASSERT_TRUE(large.AddBar(0, BarKind::kMemory32, Region::Io(registers, 0x1000000)).has_value());
  board.root.Attach(small, pci::DevFn(4, 0)).value();
  board.root.Attach(large, pci::DevFn(5, 0)).value();
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(large.Bars()[0].address, 0xc0000000U);
  EXPECT_EQ(small.Bars()[0].address, 0xc1000000U);
}

}  // namespace
}  // namespace nandu
