#include "devices/pci/msix.h"

#include <gtest/gtest.h>

#include "support/fake_irq.h"

namespace nandu {
namespace {

struct MsixTest : testing::Test {
  FakeMsiAllocator msi;
  std::shared_ptr<MsixTable> table = MsixTable::Create("test", 3, msi).value();

  void Set(uint64_t offset, uint64_t value, unsigned size = 4) { (void)table->Write(offset, size, value); }
  void Program(unsigned vector, uint64_t address, uint32_t data) {
    Set(vector * 16, address, 8);
    Set(vector * 16 + 8, data);
    Set(vector * 16 + 12, 0);
  }
};

TEST_F(MsixTest, VectorsBeginMasked) {
  EXPECT_EQ(table->Read(12, 4), 1U);
  EXPECT_EQ(table->Read(8, 8), uint64_t{1} << 32);
}

TEST_F(MsixTest, AProgrammedVectorSendsItsMessage) {
  table->SetControl(true, false);
  Program(1, 0xfee01000, 0x4041);
  table->Notify(1);
  EXPECT_EQ(msi.vector(1).sent, (std::vector<MsiMessage>{{0xfee01000, 0x4041}}));
  EXPECT_EQ(msi.vector(0).count(), 0U);
}

TEST_F(MsixTest, AMaskedVectorIsPendingAndSentWhenUnmasked) {
  table->SetControl(true, false);
  Program(2, 0xfee00000, 0x30);
  Set(2 * 16 + 12, 1);
  table->Notify(2);
  table->Notify(2);
  EXPECT_EQ(msi.vector(2).count(), 0U);
  EXPECT_EQ(table->Read(table->pending_offset(), 8), 4U);
  Set(2 * 16 + 8, 0x31);
  Set(2 * 16 + 12, 0);
  EXPECT_EQ(msi.vector(2).sent, (std::vector<MsiMessage>{{0xfee00000, 0x31}}));
  EXPECT_EQ(table->Read(table->pending_offset(), 8), 0U);
}

TEST_F(MsixTest, TheFunctionMaskHoldsAllVectors) {
  table->SetControl(true, true);
  Program(0, 0xfee00000, 0x30);
  Program(1, 0xfee00000, 0x31);
  table->Notify(0);
  table->Notify(1);
  EXPECT_EQ(msi.notifications(), 0U);
  EXPECT_EQ(table->Read(table->pending_offset(), 4), 3U);
  table->SetControl(true, false);
  EXPECT_EQ(msi.notifications(), 2U);
}

TEST_F(MsixTest, WhatCameWhileDisabledIsNotLost) {
  Program(0, 0xfee00000, 0x30);
  table->Notify(0);
  EXPECT_EQ(msi.notifications(), 0U);
  table->SetControl(true, false);
  EXPECT_EQ(msi.vector(0).count(), 1U);
}

TEST_F(MsixTest, AChangedMessageIsUsedFromTheNextNotificationOn) {
  table->SetControl(true, false);
  Program(0, 0xfee00000, 0x30);
  table->Notify(0);
  Set(8, 0x55);
  table->Notify(0);
  EXPECT_EQ(msi.vector(0).sent, (std::vector<MsiMessage>{{0xfee00000, 0x30}, {0xfee00000, 0x55}}));
}

TEST_F(MsixTest, ReservedBitsReadZero) {
  Set(0, 0xfee00003);
  Set(12, 0xfffffffe);
  EXPECT_EQ(table->Read(0, 4), 0xfee00000U);
  EXPECT_EQ(table->Read(12, 4), 0U);
}

TEST_F(MsixTest, OddWidthsAndPlacesAreIgnoredAndCounted) {
  Set(0, 0xff, 1);
  Set(2, 0xffff, 2);
  Set(4, 1, 8);
  Set(table->pending_offset(), 0xff);
  Set(3 * 16, 1);
  table->Notify(3);
  EXPECT_EQ(table->Read(0, 2), ~uint64_t{0});
  EXPECT_EQ(table->Read(0, 8), 0U);
  EXPECT_EQ(table->Read(3 * 16, 8), 0U);
  EXPECT_EQ(table->ignored().value(), 7U);
}

TEST_F(MsixTest, TheLayoutIsQemus) {
  EXPECT_EQ(table->pending_offset(), 2048U);
  EXPECT_EQ(table->bar_bytes(), 4096U);
  const auto longer = MsixTable::Create("test", 129, msi).value();
  EXPECT_EQ(longer->pending_offset(), 129U * 16);
  EXPECT_EQ(longer->bar_bytes(), 4096U);
  const auto longest = MsixTable::Create("test", 2048, msi).value();
  EXPECT_EQ(longest->pending_offset(), 32768U);
  EXPECT_EQ(longest->bar_bytes(), 65536U);
}

TEST_F(MsixTest, TooManyVectorsOrNoRouteLeftIsAnError) {
  EXPECT_FALSE(MsixTable::Create("test", 0, msi).has_value());
  EXPECT_FALSE(MsixTable::Create("test", 2049, msi).has_value());
  msi.set_limit(4);
  EXPECT_FALSE(MsixTable::Create("test", 2, msi).has_value());
}

TEST_F(MsixTest, SaveAndLoadKeepPendingBits) {
  table->SetControl(true, false);
  Program(1, 0xfee00000, 0x31);
  Set(16 + 12, 1);
  table->Notify(1);
  FakeMsiAllocator other_msi;
  const auto other = MsixTable::Create("test", 3, other_msi).value();
  ASSERT_TRUE(other->CheckLoaded(table->Save()).has_value());
  other->Load(table->Save());
  other->SetControl(true, false);
  EXPECT_EQ(other_msi.notifications(), 0U);
  (void)other->Write(16 + 12, 4, 0);
  EXPECT_EQ(other_msi.vector(1).sent, (std::vector<MsiMessage>{{0xfee00000, 0x31}}));
}

}  // namespace
}  // namespace nandu
