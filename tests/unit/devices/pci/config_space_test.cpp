#include "devices/pci/config_space.h"

#include <array>
#include <gtest/gtest.h>

namespace nandu {
namespace {

TEST(ConfigSpace, OnlyWritableBitsChange) {
  ConfigSpace config(256);
  config.Define(0x10, 4, 0x00000008, 0xfffff000);
  EXPECT_TRUE(config.Write(0x10, 4, 0xffffffff));
  EXPECT_EQ(config.Read(0x10, 4), 0xfffff008U);
  EXPECT_FALSE(config.Write(0x10, 1, 0xff));
  EXPECT_TRUE(config.Write(0x11, 1, 0x10));
  EXPECT_EQ(config.Read(0x10, 4), 0xffff1008U);
}

TEST(ConfigSpace, WriteOneToClear) {
  ConfigSpace config(256);
  config.DefineWriteOneToClear(0x06, 2, 0x8000);
  config.Put(0x06, 2, 0x8000, 0x8000);
  EXPECT_FALSE(config.Write(0x06, 2, 0));
  EXPECT_EQ(config.Read(0x06, 2), 0x8000U);
  EXPECT_TRUE(config.Write(0x06, 2, 0x8000));
  EXPECT_EQ(config.Read(0x06, 2), 0U);
}

TEST(ConfigSpace, ResetTakesGuestAndDeviceChangesBack) {
  ConfigSpace config(256);
  config.Define(0x3c, 1, 0x0b, 0xff);
  config.Write(0x3c, 1, 0x05);
  config.Put(0x06, 2, 0x0008, 0x0008);
  config.Reset();
  EXPECT_EQ(config.Read(0x3c, 1), 0x0bU);
  EXPECT_EQ(config.Read(0x06, 2), 0U);
}

TEST(ConfigSpace, CapabilitiesFillTheLowestRoomAndLinkAtTheHead) {
  ConfigSpace config(256);
  const std::array<uint8_t, 6> eight{};
  const std::array<uint8_t, 3> five{1, 2, 3};
  EXPECT_EQ(config.AddCapability(0x01, eight, {}, 0x50).value(), 0x50);
  EXPECT_EQ(config.AddCapability(0x09, five, {}, 0).value(), 0x40);
  EXPECT_EQ(config.AddCapability(0x09, eight, {}, 0).value(), 0x48);
  EXPECT_EQ(config.AddCapability(0x11, eight, {}, 0).value(), 0x58);
  EXPECT_EQ(config.Read(0x34, 1), 0x58U);
  EXPECT_EQ(config.Read(0x58, 2), 0x4811U);
  EXPECT_EQ(config.Read(0x48, 2), 0x4009U);
  EXPECT_EQ(config.Read(0x40, 4), 0x02015009U);
  EXPECT_EQ(config.Read(0x50, 2), 0x0001U);
  EXPECT_EQ(config.Read(0x06, 2), 0x0010U);
  EXPECT_EQ(config.FindCapability(0x01), 0x50);
  EXPECT_EQ(config.FindCapability(0x05), 0);
}

TEST(ConfigSpace, ACapabilityWithNoRoomIsRefused) {
  ConfigSpace config(256);
  const std::array<uint8_t, 0x62> large{};
  EXPECT_TRUE(config.AddCapability(0x09, large, {}, 0).has_value());
  EXPECT_FALSE(config.AddCapability(0x09, large, {}, 0).has_value());
  EXPECT_FALSE(config.AddCapability(0x01, std::array<uint8_t, 6>{}, {}, 0x40).has_value());
  EXPECT_FALSE(config.AddCapability(0x01, std::array<uint8_t, 6>{}, {}, 0x20).has_value());
}

TEST(ConfigSpace, ExtendedCapabilitiesChainFrom100) {
  ConfigSpace config(4096);
  const std::array<uint8_t, 0x44> errors{};
  const std::array<uint8_t, 4> access{0x5f, 0, 0, 0};
  EXPECT_EQ(config.AddExtendedCapability(0x0001, 2, errors, {}).value(), 0x100);
  EXPECT_EQ(config.AddExtendedCapability(0x000d, 1, access, {}).value(), 0x148);
  EXPECT_EQ(config.Read(0x100, 4), 0x14820001U);
  EXPECT_EQ(config.Read(0x148, 4), 0x0001000dU);
  EXPECT_FALSE(ConfigSpace(256).AddExtendedCapability(0x000d, 1, access, {}).has_value());
}

TEST(ConfigSpace, LoadedBytesMayDifferOnlyWhereSomebodyMayChangeThem) {
  ConfigSpace config(256);
  config.Define(0x00, 2, 0x1af4, 0);
  config.Define(0x3c, 1, 0, 0xff);
  config.Put(0x06, 2, 0, 0x0008);
  std::vector<std::byte> saved = config.bytes();
  saved[0x3c] = std::byte{0x0b};
  saved[0x06] = std::byte{0x08};
  EXPECT_TRUE(config.CheckLoaded(saved).has_value());
  saved[0x00] = std::byte{0x86};
  const Result<> refused = config.CheckLoaded(saved);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "configuration byte 0x000 is 0x86, here 0xf4: the device is not the one that was saved");
  EXPECT_FALSE(config.CheckLoaded(std::vector<std::byte>(4096)).has_value());
}

}  // namespace
}  // namespace nandu
