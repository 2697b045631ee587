// A function with one MSI vector.
#include <gtest/gtest.h>

#include "devices/pci/pci_function.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

constexpr uint16_t kAt = 0x80;
constexpr unsigned kMaster = 0x4;

struct MsiFunction {
  explicit MsiFunction(FakePciBoard& board) : function("msi", TestIdentity(), false) {
    EXPECT_TRUE(function.EnableMsi(kAt, board.msi));
    EXPECT_TRUE(board.root.Attach(function, 0x10));
  }
  void Set(uint16_t reg, unsigned size, uint32_t value) {
    EXPECT_EQ(function.WriteConfig(reg, size, value).token(), nullptr);
  }
  void Program(uint64_t address, uint32_t data) {
    Set(kAt + 4, 4, static_cast<uint32_t>(address));
    Set(kAt + 8, 4, static_cast<uint32_t>(address >> 32));
    Set(kAt + 12, 2, data);
    Set(kAt + 2, 2, 1);
    Set(4, 2, kMaster);
  }
  PciFunction function;
};

struct MsiTest : testing::Test {
  FakePciBoard board;
  MsiFunction one{board};
};

TEST_F(MsiTest, CapabilityIsAsQemusFunctionsHaveIt) {
  EXPECT_EQ(one.function.FindCapability(0x05), kAt);
  EXPECT_EQ(one.function.ReadConfig(kAt, 4), 0x00800005u);
  one.Set(kAt, 4, 0xffffffff);
  EXPECT_EQ(one.function.ReadConfig(kAt, 4), 0x00810005u);
  one.Set(kAt + 4, 4, 0xffffffff);
  EXPECT_EQ(one.function.ReadConfig(kAt + 4, 4), 0xfffffffcu);
}

TEST_F(MsiTest, NotificationSendsTheProgrammedMessage) {
  one.Program(0x1'fee01000, 0x4041);
  EXPECT_TRUE(one.function.msi_enabled());
  one.function.NotifyMsi();
  one.Set(kAt + 12, 2, 0x4042);
  one.function.NotifyMsi();
  EXPECT_EQ(board.msi.vector(0).sent,
            (std::vector<MsiMessage>{{0x1'fee01000, 0x4041}, {0x1'fee01000, 0x4042}}));
}

TEST_F(MsiTest, NothingIsSentWhileDisabledOrNoBusMaster) {
  one.function.NotifyMsi();
  one.Program(0xfee00000, 0x30);
  one.Set(4, 2, 0);
  one.function.NotifyMsi();
  EXPECT_EQ(board.msi.notifications(), 0u);
  EXPECT_EQ(one.function.ignored().value(), 2u);
}

TEST_F(MsiTest, ResetDisablesIt) {
  one.Program(0xfee00000, 0x30);
  one.function.Reset();
  EXPECT_FALSE(one.function.msi_enabled());
}

TEST_F(MsiTest, FunctionWithoutItHasNone) {
  PciFunction plain("plain", TestIdentity(), false);
  EXPECT_FALSE(plain.msi_enabled());
  plain.NotifyMsi();
  EXPECT_EQ(plain.ignored().value(), 1u);
}

TEST_F(MsiTest, HostWithoutRoutesIsASentence) {
  board.msi.set_limit(1);
  PciFunction other("other", TestIdentity(), false);
  EXPECT_EQ(other.EnableMsi(0, board.msi).error().message, "other: the host has no interrupt route left");
}

TEST_F(MsiTest, SavedRegistersProgramTheVectorAgain) {
  one.Program(0xfee02000, 0x51);
  StateDocument document;
  one.function.Save(StateWriter(document, "/f"));
  FakePciBoard board2;
  MsiFunction copy(board2);
  ASSERT_TRUE(copy.function.Load(StateReader(document, "/f")));
  copy.function.NotifyMsi();
  EXPECT_EQ(board2.msi.vector(0).sent, (std::vector<MsiMessage>{{0xfee02000, 0x51}}));
}

}  // namespace
}  // namespace nandu
