// What QEMU 7.2's controllers answer to the same accesses stands in these tests: they were asked through
// qtest.
#include "devices/legacy/dma_controller.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

// Where a controller's registers are.
struct Place {
  uint16_t base;
  unsigned shift;
  uint16_t pages;
};

class IsaDmaTest : public testing::TestWithParam<Place> {
 protected:
  uint16_t Port(unsigned reg) const {
    return static_cast<uint16_t>(GetParam().base + (reg << GetParam().shift));
  }
  uint8_t Get(unsigned reg) { return In(host_, Port(reg)); }
  void Set(unsigned reg, uint8_t value) { Out(host_, Port(reg), value); }
  unsigned GetWord(unsigned reg) {
    const unsigned low = Get(reg);
    return low | static_cast<unsigned>(Get(reg)) << 8;
  }
  void SetWord(unsigned reg, unsigned value) {
    Set(reg, static_cast<uint8_t>(value));
    Set(reg, static_cast<uint8_t>(value >> 8));
  }
  FakeHost host_;
  std::unique_ptr<IsaDma> dma_ = IsaDma::Create(host_).value();
};

TEST_P(IsaDmaTest, ChannelsAreMaskedAtFirst) {
  EXPECT_EQ(Get(8), 0);
  EXPECT_EQ(Get(9), 0xff);
  EXPECT_EQ(GetWord(4), 0u);
}

TEST_P(IsaDmaTest, AddressAndCountTakeAndGiveTwoBytes) {
  SetWord(4, 0x1234);
  SetWord(5, 0x5678);
  EXPECT_EQ(GetWord(4), 0x1234u);
  EXPECT_EQ(GetWord(5), 0x5678u);
  EXPECT_EQ(GetWord(6), 0u) << "another channel";
}

TEST_P(IsaDmaTest, HalfAnAddressIsNotLoaded) {
  SetWord(4, 0x1234);
  Set(4, 0xff);
  EXPECT_EQ(Get(4), 0x12) << "the high byte is next";
  EXPECT_EQ(Get(4), 0x34);
  Set(12, 0);
  EXPECT_EQ(GetWord(4), 0x1234u);
}

TEST_P(IsaDmaTest, Masks) {
  Set(15, 0x05);
  EXPECT_EQ(Get(9), 0x05);
  Set(10, 0x05);
  EXPECT_EQ(Get(9), 0x07);
  Set(10, 0x02);
  EXPECT_EQ(Get(9), 0x03);
  Set(14, 0);
  EXPECT_EQ(Get(9), 0x00);
  Set(13, 0);
  EXPECT_EQ(Get(9), 0xff);
}

TEST_P(IsaDmaTest, SoftwareRequestsShowInTheStatus) {
  Set(9, 5);
  EXPECT_EQ(Get(8), 0x20);
  EXPECT_EQ(Get(8), 0x20);
  Set(9, 1);
  EXPECT_EQ(Get(8), 0);
}

TEST_P(IsaDmaTest, PagesAreOnlyWhereChannelsHaveThem) {
  for (unsigned offset = 0; offset < 8; offset++) {
    Out(host_, static_cast<uint16_t>(GetParam().pages + offset), 0x40 + offset);
  }
  const std::array<uint8_t, 8> found = {0xff, 0x41, 0x42, 0x43, 0xff, 0xff, 0xff, 0x47};
  for (unsigned offset = 0; offset < 8; offset++) {
    EXPECT_EQ(In(host_, static_cast<uint16_t>(GetParam().pages + offset)), found.at(offset)) << offset;
  }
}

TEST_P(IsaDmaTest, SavedStateComesBackAndResetForgetsIt) {
  SetWord(4, 0x1234);
  Set(5, 0x78);
  Set(11, 0x46);
  Set(15, 0x05);
  Set(9, 6);
  Out(host_, static_cast<uint16_t>(GetParam().pages + 1), 0x77);
  const auto bytes = Saved(*dma_);
  FakeHost other_host;
  const auto other = IsaDma::Create(other_host).value();
  ASSERT_TRUE(LoadInto(*other, bytes));
  EXPECT_EQ(Saved(*other), bytes);
  EXPECT_EQ(In(other_host, Port(9)), 0x05);
  EXPECT_EQ(In(other_host, Port(4)), 0x12) << "the high byte is next there as well";
  other->Reset();
  FakeHost fresh_host;
  EXPECT_EQ(Saved(*other), Saved(*IsaDma::Create(fresh_host).value()));
}

INSTANTIATE_TEST_SUITE_P(Both, IsaDmaTest, testing::Values(Place{0x00, 0, 0x80}, Place{0xc0, 1, 0x88}));

TEST(IsaDma, SecondControllersOddPortsAreTheirEvenNeighbours) {
  FakeHost host;
  const auto dma = IsaDma::Create(host).value();
  Out(host, 0xdf, 0x05);
  EXPECT_EQ(In(host, 0xd2), 0x05);
  EXPECT_EQ(In(host, 0x09), 0xff);
}

TEST(IsaDma, HostileStateIsRefused) {
  EXPECT_FALSE(Validate(DmaControllerState{.command = 1}));
  EXPECT_FALSE(Validate(DmaControllerState{.requests = 1}));
  EXPECT_TRUE(Validate(DmaControllerState{}));
}

}  // namespace
}  // namespace nandu
