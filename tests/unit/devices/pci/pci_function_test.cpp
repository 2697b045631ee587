#include "devices/pci/pci_function.h"

#include <gtest/gtest.h>

#include "devices/pci/pci_caps.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

constexpr uint16_t kIoMemoryMaster = pci::kCommandIo | pci::kCommandMemory | pci::kCommandMaster;

struct PciFunctionTest : testing::Test {
  FakePciBoard board;
  PciFunction function{"disk0", TestIdentity(), false};
  std::shared_ptr<FakeIoHandler> registers = std::make_shared<FakeIoHandler>();

  uint32_t Get(uint16_t reg, unsigned size) { return function.ReadConfig(reg, size); }
  void Set(uint16_t reg, unsigned size, uint32_t value) { (void)function.WriteConfig(reg, size, value); }
  void Attach(int devfn = pci::DevFn(2, 0)) { board.root.Attach(function, devfn).value(); }
};

TEST_F(PciFunctionTest, TheHeaderSaysWhatItIsAndKeepsIt) {
  Set(0x00, 4, 0xffffffff);
  Set(0x08, 4, 0xffffffff);
  Set(0x2c, 4, 0xffffffff);
  EXPECT_EQ(Get(0x00, 4), 0x10011af4U);
  EXPECT_EQ(Get(0x08, 4), 0x01000001U);
  EXPECT_EQ(Get(0x2c, 4), 0x11001af4U);
  Set(0x04, 4, 0xffffffff);
  EXPECT_EQ(Get(0x04, 4), 0x00000507U);
  Set(0x0c, 4, 0xffffffff);
  EXPECT_EQ(Get(0x0c, 4), 0x000000ffU);
  Set(0x3c, 4, 0xffffffff);
  EXPECT_EQ(Get(0x3c, 4), 0x000001ffU);
}

TEST_F(PciFunctionTest, SizingABarReadsItsSizeBack) {
  ASSERT_TRUE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
  ASSERT_TRUE(function.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  ASSERT_TRUE(function.AddBar(4, BarKind::kMemory64Prefetchable, Region::Io(registers, uint64_t{1} << 33))
                  .has_value());
  for (uint16_t reg = 0x10; reg < 0x28; reg = static_cast<uint16_t>(reg + 4)) {
    Set(reg, 4, 0xffffffff);
  }
  EXPECT_EQ(Get(0x10, 4), 0xffffffe1U);
  EXPECT_EQ(Get(0x14, 4), 0xfffff000U);
  EXPECT_EQ(Get(0x18, 4), 0U);
  EXPECT_EQ(Get(0x20, 4), 0x0000000cU);
  EXPECT_EQ(Get(0x24, 4), 0xfffffffeU);
}

TEST_F(PciFunctionTest, ImpossibleBarsAreRefused) {
  EXPECT_FALSE(function.AddBar(6, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  EXPECT_FALSE(function.AddBar(5, BarKind::kMemory64, Region::Io(registers, 0x1000)).has_value());
  EXPECT_FALSE(function.AddBar(0, BarKind::kMemory32, Region::Io(registers, 0x1800)).has_value());
  EXPECT_FALSE(function.AddBar(0, BarKind::kMemory32, Region::Io(registers, uint64_t{1} << 32)).has_value());
  EXPECT_FALSE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 2)).has_value());
  ASSERT_TRUE(function.AddBar(2, BarKind::kMemory64, Region::Io(registers, 0x1000)).has_value());
  EXPECT_FALSE(function.AddBar(3, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
}

TEST_F(PciFunctionTest, TheCommandRegisterGatesEachKindOfBar) {
  ASSERT_TRUE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
  ASSERT_TRUE(function.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  Attach();
  Set(0x10, 4, 0xc040);
  Set(0x14, 4, 0xfeb00000);
  EXPECT_EQ(board.io.Read(0xc041, 1), 0xffU);
  Set(0x04, 2, pci::kCommandIo);
  EXPECT_EQ(board.io.Read(0xc041, 1), 1U);
  EXPECT_EQ(board.memory.Read(0xfeb00004, 4), 0xffffffffU);
  Set(0x04, 2, pci::kCommandMemory);
  EXPECT_EQ(board.io.Read(0xc041, 1), 0xffU);
  EXPECT_EQ(board.memory.Read(0xfeb00004, 4), 0x07060504U);
}

TEST_F(PciFunctionTest, ABarMovesWithItsRegister) {
  ASSERT_TRUE(function.AddBar(4, BarKind::kMemory64, Region::Io(registers, 0x4000)).has_value());
  Attach();
  Set(0x04, 2, kIoMemoryMaster);
  Set(0x24, 4, 0x8);
  Set(0x20, 4, 0x40000000);
  EXPECT_EQ(board.memory.Read(0x840000010, 1), 0x10U);
  Set(0x24, 4, 0x9);
  EXPECT_EQ(board.memory.Read(0x840000010, 1), 0xffU);
  EXPECT_EQ(board.memory.Read(0x940000010, 1), 0x10U);
}

TEST_F(PciFunctionTest, ABarThatIsBeingSizedOrAtZeroIsNotMapped) {
  ASSERT_TRUE(function.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  ASSERT_TRUE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
  ASSERT_TRUE(function.AddBar(2, BarKind::kMemory64, Region::Io(registers, 0x1000)).has_value());
  Attach();
  Set(0x04, 2, kIoMemoryMaster);
  for (const uint16_t reg : std::to_array<uint16_t>({0x10, 0x14, 0x1c, 0x18})) {
    Set(reg, 4, 0xffffffff);
  }
  EXPECT_TRUE(board.memory.view()->ranges().empty());
  EXPECT_TRUE(board.io.view()->ranges().empty());
}

TEST_F(PciFunctionTest, ABarNeverHidesRam) {
  const std::shared_ptr<RamBlock> ram = TestRam(0x10000);
  const Mapping mapping = board.memory.Map(0x100000, Region::Ram(ram, 0, 0x10000)).value();
  ASSERT_TRUE(function.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x20000)).has_value());
  Attach();
  Set(0x04, 2, kIoMemoryMaster);
  Set(0x14, 4, 0x100000);
  EXPECT_EQ(board.memory.Read(0x100004, 1), 0U);
  EXPECT_EQ(board.memory.Read(0x110004, 1), 4U);
}

TEST_F(PciFunctionTest, BusMasterEnableOpensMemory) {
  const std::shared_ptr<const GuestMemory> memory = TestMemory(0x1000);
  board.root.SetMemory(memory);
  Attach();
  uint32_t value = 0;
  EXPECT_FALSE(function.dma().Read(0, &value, 4));
  Set(0x04, 2, pci::kCommandMaster);
  EXPECT_TRUE(function.bus_master());
  EXPECT_TRUE(function.dma().Read(0, &value, 4));
  const uint64_t before = function.dma().generation();
  Set(0x04, 2, 0);
  EXPECT_FALSE(function.dma().Read(0, &value, 4));
  EXPECT_GT(function.dma().generation(), before);
}

TEST_F(PciFunctionTest, IntxFollowsTheDeviceUnlessDisabled) {
  Attach(pci::DevFn(2, 0));
  function.SetIntx(true);
  EXPECT_TRUE(board.lines[2].level());
  EXPECT_EQ(Get(0x06, 2) & pci::kStatusInterrupt, pci::kStatusInterrupt);
  Set(0x04, 2, pci::kCommandIntxDisable);
  EXPECT_FALSE(board.lines[2].level());
  EXPECT_EQ(Get(0x06, 2) & pci::kStatusInterrupt, pci::kStatusInterrupt);
  Set(0x04, 2, 0);
  EXPECT_TRUE(board.lines[2].level());
  function.SetIntx(false);
  EXPECT_FALSE(board.lines[2].level());
  EXPECT_EQ(Get(0x06, 2) & pci::kStatusInterrupt, 0U);
}

TEST_F(PciFunctionTest, TheHookRunsWhenSomethingChangedAndMayPark) {
  const auto token = std::make_shared<ParkedExit>();
  std::vector<uint16_t> written;
  function.SetConfigHook([&](uint16_t reg, unsigned) {
    written.push_back(reg);
    return ExitDone::Park(token);
  });
  EXPECT_EQ(function.WriteConfig(0x04, 2, pci::kCommandMaster).token(), token);
  EXPECT_EQ(function.WriteConfig(0x04, 2, pci::kCommandMaster).token(), nullptr);
  EXPECT_EQ(function.WriteConfig(0x00, 2, 0).token(), nullptr);
  EXPECT_EQ(written, std::vector<uint16_t>{0x04});
}

TEST_F(PciFunctionTest, AWindowIsServedByItsDevice) {
  const uint8_t at = function.AddCapability(pci::kCapVendor, std::array<uint8_t, 0x12>{}).value();
  const auto window = static_cast<uint16_t>(at + 0x10);
  std::vector<uint32_t> writes;
  function.SetConfigWindow(
      window, 4, [](uint16_t reg, unsigned size) { return 0xaabb0000U + reg * 16U + size; },
      [&writes](uint16_t, unsigned, uint32_t value) {
        writes.push_back(value);
        return ExitDone::Done();
      });
  EXPECT_EQ(Get(window, 4), 0xaabb0004U);
  EXPECT_EQ(Get(static_cast<uint16_t>(window + 2), 1), 0x21U);
  Set(window, 4, 0x1234);
  EXPECT_EQ(writes, std::vector<uint32_t>{0x1234});
}

TEST_F(PciFunctionTest, OutsideConfigurationSpaceReadsOnes) {
  EXPECT_EQ(Get(0x100, 4), 0xffffffffU);
  EXPECT_EQ(Get(0xfe, 4), 0xffffffffU);
  Set(0x100, 4, 0);
  EXPECT_EQ(function.ignored().value(), 3U);
}

TEST_F(PciFunctionTest, MsixLivesInItsBarAndFollowsMessageControl) {
  ASSERT_TRUE(function.EnableMsix(2, 1, board.msi).has_value());
  Attach();
  const uint16_t cap = function.FindCapability(pci::kCapMsix);
  EXPECT_EQ(Get(cap, 4), 0x00010011U);
  EXPECT_EQ(Get(static_cast<uint16_t>(cap + 4), 4), 0x00000001U);
  EXPECT_EQ(Get(static_cast<uint16_t>(cap + 8), 4), 0x00000801U);
  Set(0x14, 4, 0xfeb00000);
  Set(0x04, 2, kIoMemoryMaster);
  (void)board.memory.Write(0xfeb00010, 8, 0xfee00000);
  (void)board.memory.Write(0xfeb00018, 4, 0x22);
  (void)board.memory.Write(0xfeb0001c, 4, 0);
  EXPECT_FALSE(function.msix_enabled());
  Set(static_cast<uint16_t>(cap + 2), 2, 0xffff);
  EXPECT_EQ(Get(static_cast<uint16_t>(cap + 2), 2), 0xc001U);
  EXPECT_TRUE(function.msix_enabled());
  function.NotifyMsix(1);
  EXPECT_EQ(board.memory.Read(0xfeb00800, 4), 2U);
  Set(static_cast<uint16_t>(cap + 2), 2, pci::kMsixControlEnable);
  EXPECT_EQ(board.msi.vector(1).sent, (std::vector<MsiMessage>{{0xfee00000, 0x22}}));
}

TEST_F(PciFunctionTest, ResetUnmapsMasksAndLowers) {
  ASSERT_TRUE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
  ASSERT_TRUE(function.EnableMsix(1, 1, board.msi).has_value());
  Attach();
  Set(0x10, 4, 0xc000);
  Set(0x04, 2, kIoMemoryMaster);
  function.SetIntx(true);
  function.Reset();
  EXPECT_TRUE(board.io.view()->ranges().empty());
  EXPECT_FALSE(board.lines[2].level());
  EXPECT_FALSE(function.dma().enabled());
  EXPECT_EQ(Get(0x10, 4), 1U);
  EXPECT_EQ(Get(0x06, 2) & pci::kStatusInterrupt, 0U);
}

TEST_F(PciFunctionTest, EventsOfABarFollowItsAddress) {
  ASSERT_TRUE(function.AddBar(1, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  Attach();
  Set(0x14, 4, 0xfeb00000);
  Set(0x04, 2, kIoMemoryMaster);
  function.SetBarEvents(1, {IoEvent{.offset = 0x10, .size = 2, .match = {}, .fd = 7}});
  EXPECT_EQ(board.memory.view()->events(), (std::vector<FlatIoEvent>{{0xfeb00010, 2, {}, 7}}));
  Set(0x14, 4, 0xfec00000);
  EXPECT_EQ(board.memory.view()->events(), (std::vector<FlatIoEvent>{{0xfec00010, 2, {}, 7}}));
}

TEST_F(PciFunctionTest, AFunctionThatDiesLeavesItsBus) {
  {
    PciFunction other("nic0", TestIdentity(), false);
    ASSERT_TRUE(other.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
    board.root.Attach(other, pci::DevFn(3, 0)).value();
    (void)other.WriteConfig(0x10, 4, 0xc000);
    (void)other.WriteConfig(0x04, 2, kIoMemoryMaster);
    other.SetIntx(true);
    EXPECT_TRUE(board.lines[3].level());
  }
  EXPECT_FALSE(board.lines[3].level());
  EXPECT_TRUE(board.io.view()->ranges().empty());
  EXPECT_EQ(board.root.FindFunction(pci::DevFn(3, 0)), nullptr);
}

TEST(PciExpressFunction, AFunctionLevelResetPutsItBackAndAsksTheDevice) {
  FakePciBoard board;
  PciFunction function("nic0", TestIdentity(), true);
  const uint8_t express = AddExpressEndpoint(function).value();
  const auto control = static_cast<uint16_t>(express + pci::kExpressDeviceControl);
  const auto token = std::make_shared<ParkedExit>();
  int resets = 0;
  function.SetResetHook([&] {
    resets++;
    return ExitDone::Park(token);
  });
  board.root.Attach(function, -1).value();
  (void)function.WriteConfig(0x04, 2, kIoMemoryMaster);
  EXPECT_EQ(function.WriteConfig(control, 2, 0x000f).token(), nullptr);
  EXPECT_EQ(function.WriteConfig(control, 2, 0x800f).token(), token);
  EXPECT_EQ(resets, 1);
  EXPECT_EQ(function.ReadConfig(0x04, 2), 0U);
  EXPECT_EQ(function.ReadConfig(control, 2), 0U);
  EXPECT_FALSE(function.dma().enabled());
  EXPECT_EQ(function.WriteConfig(static_cast<uint16_t>(control + 1), 1, 0x80).token(), token);
  EXPECT_EQ(resets, 2);
}

// The words of a virtio function behind a root port in QEMU 7.2: PCI Express at 40h, power management at 7Ch.
TEST(PciExpressFunction, EndpointCapabilitiesAreQemus) {
  PciFunction function("nic0", TestIdentity(), true);
  EXPECT_EQ(AddExpressEndpoint(function).value(), 0x40);
  EXPECT_EQ(AddPowerManagement(function).value(), 0x7c);
  const std::vector<std::pair<uint16_t, uint32_t>> expected = {
      {0x34, 0x7c},       {0x40, 0x00020010}, {0x44, 0x10008000}, {0x48, 0},          {0x4c, 0x00000411},
      {0x50, 0x00110000}, {0x64, 0x00300000}, {0x68, 0},          {0x7c, 0x00034001}, {0x80, 0}};
  for (const auto& [reg, value] : expected) {
    EXPECT_EQ(function.ReadConfig(reg, 4), value) << "register " << reg;
  }
}

}  // namespace
}  // namespace nandu
