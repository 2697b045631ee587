// Expansion ROMs: the register, where the ROM is seen, and what romfile=, romsize= and rombar= become.
#include "devices/pci/pci_rom.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/pci/pci_setup.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

using testing::HasSubstr;

struct PciRomTest : testing::Test {
  FakePciBoard board;
  PciFunction function{"nic0", TestIdentity(), false};
  std::shared_ptr<RamBlock> image = TestRam(0x10000);

  void SetUp() override {
    std::memset(image->host(), 0x5a, image->size());
    image->host()[0] = std::byte{0x55};
    image->host()[1] = std::byte{0xaa};
    ASSERT_TRUE(function.AddRom(image, image->size()).has_value());
    board.root.Attach(function, pci::DevFn(2, 0)).value();
  }
  uint32_t Get(uint16_t reg, unsigned size) { return function.ReadConfig(reg, size); }
  void Set(uint16_t reg, unsigned size, uint32_t value) { (void)function.WriteConfig(reg, size, value); }
};

TEST_F(PciRomTest, SizingItReadsItsSizeBack) {
  Set(pci::kRomAddress, 4, 0xfffff800);
  EXPECT_EQ(Get(pci::kRomAddress, 4), 0xffff0000U);
  Set(pci::kRomAddress, 4, 0xffffffff);
  EXPECT_EQ(Get(pci::kRomAddress, 4), 0xffff0001U);
}

TEST_F(PciRomTest, ItIsSeenWhileItsBitAndMemoryDecodingAreOn) {
  Set(pci::kRomAddress, 4, 0xfeb00000);
  Set(pci::kCommand, 2, pci::kCommandMemory);
  EXPECT_EQ(board.memory.Read(0xfeb00000, 2), 0xffffU);
  Set(pci::kRomAddress, 4, 0xfeb00001);
  EXPECT_EQ(board.memory.Read(0xfeb00000, 2), 0xaa55U);
  EXPECT_EQ(board.memory.Read(0xfeb0ffff, 1), 0x5aU);
  EXPECT_EQ(board.memory.Read(0xfeb10000, 1), 0xffU);
  Set(pci::kCommand, 2, 0);
  EXPECT_EQ(board.memory.Read(0xfeb00000, 2), 0xffffU);
}

TEST_F(PciRomTest, WritesToItAreDropped) {
  Set(pci::kRomAddress, 4, 0xfeb00001);
  Set(pci::kCommand, 2, pci::kCommandMemory);
  (void)board.memory.Write(0xfeb00000, 2, 0);
  EXPECT_EQ(board.memory.Read(0xfeb00000, 2), 0xaa55U);
}

TEST_F(PciRomTest, AResetTakesItAway) {
  Set(pci::kRomAddress, 4, 0xfeb00001);
  Set(pci::kCommand, 2, pci::kCommandMemory);
  function.Reset();
  EXPECT_EQ(Get(pci::kRomAddress, 4), 0U);
  EXPECT_EQ(board.memory.Read(0xfeb00000, 2), 0xffffU);
}

TEST_F(PciRomTest, SetupPlacesItAndLeavesItDisabled) {
  PciSetupOptions options;
  options.memory32 = {0xc0000000, 0xfec00000};
  ASSERT_TRUE(SetUpPci(board.root, options).has_value());
  EXPECT_EQ(Get(pci::kRomAddress, 4), 0xc0000000U);
  EXPECT_EQ(board.memory.Read(0xc0000000, 2), 0xffffU);
  const std::vector<PciBarInfo> bars = function.Bars();
  ASSERT_EQ(bars.size(), 1U);
  EXPECT_EQ(bars[0].index, kRomBar);
}

TEST_F(PciRomTest, ImpossibleOnesAreRefused) {
  EXPECT_FALSE(function.AddRom(image, image->size()).has_value());
  PciFunction other{"nic1", TestIdentity(), false};
  EXPECT_FALSE(other.AddRom(image, 0x400).has_value());
  EXPECT_FALSE(other.AddRom(image, 0x3000).has_value());
  EXPECT_FALSE(other.AddRom(image, 0x20000).has_value());
  PciFunction bridge{"port", TestBridgeIdentity(), true};
  EXPECT_FALSE(bridge.AddRom(image, 0x10000).has_value());
}

struct LoadPciRomTest : testing::Test {
  FakeHost host;
  PciDeviceOptions options;
  void SetUp() override { host.firmware_files["x.rom"] = std::vector<uint8_t>(3000, 0x42); }
  std::string Sentence() {
    const auto rom = LoadPciRom(host, "nic0", options);
    return rom ? "accepted" : rom.error().message;
  }
};

TEST_F(LoadPciRomTest, TheBarHoldsTheFileAndZeroesBehindIt) {
  options.romfile = "x.rom";
  const auto rom = LoadPciRom(host, "nic0", options).value();
  EXPECT_EQ(rom->bar_bytes, 4096U);
  EXPECT_EQ(rom->image->host()[2999], std::byte{0x42});
  EXPECT_EQ(rom->image->host()[3000], std::byte{0});
}

TEST_F(LoadPciRomTest, ADevicesOwnFileGivesWayToTheUsers) {
  EXPECT_EQ(LoadPciRom(host, "nic0", options, "x.rom").value()->bar_bytes, 4096U);
  options.romfile = "";
  EXPECT_EQ(LoadPciRom(host, "nic0", options, "x.rom").value(), nullptr);
  options.romfile.reset();
  EXPECT_EQ(LoadPciRom(host, "nic0", options).value(), nullptr);
}

TEST_F(LoadPciRomTest, RomsizeIsThePowerOfTwoThatIsAskedFor) {
  options.romfile = "x.rom";
  options.romsize = 0x10000;
  EXPECT_EQ(LoadPciRom(host, "nic0", options).value()->bar_bytes, 0x10000U);
  options.romsize = 0x800;
  EXPECT_THAT(Sentence(), HasSubstr("say 4096 at least"));
  options.romsize = 5000;
  EXPECT_THAT(Sentence(), HasSubstr("no power of two"));
}

TEST_F(LoadPciRomTest, WhatIsNoRomIsRefused) {
  options.romfile = "nowhere.rom";
  EXPECT_THAT(Sentence(), HasSubstr("nowhere.rom"));
  host.firmware_files["empty.rom"] = {};
  options.romfile = "empty.rom";
  EXPECT_THAT(Sentence(), HasSubstr("0 bytes"));
  options.romfile = "x.rom";
  options.rombar = 0;
  EXPECT_THAT(Sentence(), HasSubstr("rombar=0"));
}

}  // namespace
}  // namespace nandu
