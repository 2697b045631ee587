// RAM from 0xc0000 to 1 MiB follows the PAM registers, over firmware's shadow.
#include "machine/shadow_ram.h"

#include <cstring>
#include <gtest/gtest.h>

#include "support/fake_memory.h"

namespace nandu {
namespace {

struct ShadowRamTest : testing::Test {
  AddressSpace memory{"memory", UINT64_MAX};
  std::shared_ptr<RamBlock> ram = TestRam(0x200000);
  std::shared_ptr<RamBlock> rom = TestRam(0x20000);
  std::vector<Mapping> fixed;
  ShadowRam shadow;
  std::array<uint8_t, Q35HostBridge::kPamRegisters> pam = {};

  void SetUp() override {
    std::memset(ram->host(), 0x11, ram->size());
    std::memset(rom->host(), 0x22, rom->size());
    ASSERT_TRUE(shadow.MapRam(memory, ram, 0, 0, ram->size(), &fixed));
    fixed.push_back(memory.Map(0xe0000, Region::Rom(rom, 0, rom->size()), -1).value());
  }
};

TEST_F(ShadowRamTest, ItIsOnePieceOfRamUntilTheRegistersSayOtherwise) {
  ASSERT_EQ(memory.view()->ranges().size(), 1u);
  EXPECT_EQ(memory.view()->ranges()[0].size, ram->size());
}

TEST_F(ShadowRamTest, ClosedItShowsTheRomOrNothing) {
  shadow.Follow(pam);
  EXPECT_EQ(memory.Read(0xbffff, 1), 0x11u);
  EXPECT_EQ(memory.Read(0xc0000, 1), 0xffu);
  EXPECT_EQ(memory.Read(0xe0000, 1), 0x22u);
  EXPECT_EQ(memory.Read(0xfffff, 1), 0x22u);
  EXPECT_EQ(memory.Read(0x100000, 1), 0x11u);
}

TEST_F(ShadowRamTest, EachHalfOfARegisterHasItsOwnPiece) {
  pam[0] = 0x30;  // 0xf0000
  pam[1] = 0x03;  // 0xc0000, not 0xc4000
  pam[6] = 0x10;  // 0xec000, read-only
  shadow.Follow(pam);
  EXPECT_EQ(memory.Read(0xf0000, 1), 0x11u);
  EXPECT_EQ(memory.Read(0xc3fff, 1), 0x11u);
  EXPECT_EQ(memory.Read(0xc4000, 1), 0xffu);
  EXPECT_EQ(memory.Read(0xebfff, 1), 0x22u);
  EXPECT_EQ(memory.Read(0xec000, 1), 0x11u);
  (void)memory.Write(0xec000, 1, 0x33);
  (void)memory.Write(0xf0000, 1, 0x33);
  EXPECT_EQ(memory.Read(0xec000, 1), 0x11u);
  EXPECT_EQ(memory.Read(0xf0000, 1), 0x33u);
}

}  // namespace
}  // namespace nandu
