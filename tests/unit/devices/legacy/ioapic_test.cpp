#include "devices/legacy/ioapic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kAt = 0xfec00000;
constexpr uint32_t kLevel = 1 << 15, kMasked = 1 << 16, kRemoteIrr = 1 << 14;

struct Processors final : IoApicOutput {
  void SetRoute(unsigned pin, const std::optional<MsiMessage>& message) override {
    routes.at(pin) = message;
    changes++;
  }
  void Send(const MsiMessage& message) override { sent.push_back(message); }
  bool IsHeld(uint8_t vector) override { return held.contains(vector); }
  std::array<std::optional<MsiMessage>, IoApic::kPins> routes;
  std::vector<MsiMessage> sent;
  std::set<uint8_t> held;
  unsigned changes = 0;
};

struct Board {
  Board() { ioapic = IoApic::Create(host, processors).value(); }
  uint32_t Get(uint8_t reg) {
    Put(0, reg);
    return static_cast<uint32_t>(host.memory.Read(kAt + 0x10, 4));
  }
  void Set(uint8_t reg, uint32_t value) {
    Put(0, reg);
    Put(0x10, value);
  }
  void Put(uint64_t offset, uint64_t value, unsigned size = 4) {
    EXPECT_EQ(host.memory.Write(kAt + offset, size, value).token(), nullptr);
  }
  void Program(unsigned pin, uint32_t low, uint32_t high = 0) {
    Set(static_cast<uint8_t>(0x11 + 2 * pin), high);
    Set(static_cast<uint8_t>(0x10 + 2 * pin), low);
  }
  FakeHost host;
  Processors processors;
  std::unique_ptr<IoApic> ioapic;
};

class IoApicTest : public testing::Test {
 protected:
  Board b_;
};

TEST_F(IoApicTest, RegistersAreQemus) {
  EXPECT_EQ(b_.Get(1), 0x00170020u);
  EXPECT_EQ(b_.Get(0), 0u);
  b_.Set(0, 0x0f000000);
  EXPECT_EQ(b_.Get(0), 0x0f000000u);
  EXPECT_EQ(b_.Get(2), 0x0f000000u);
  EXPECT_EQ(b_.Get(0x10), kMasked);
  EXPECT_EQ(b_.Get(0x3f), 0u);
  EXPECT_EQ(b_.host.memory.Read(kAt, 4), 0x3fu);
}

TEST_F(IoApicTest, EdgeIsSentOnceAtEachRise) {
  b_.Program(4, 0x31, 3 << 24);
  b_.ioapic->SetPin(4, true);
  b_.ioapic->SetPin(4, true);
  EXPECT_THAT(b_.processors.sent, ElementsAre(MsiMessage{0xfee03000, 0x31}));
  b_.ioapic->SetPin(4, false);
  b_.ioapic->SetPin(4, true);
  EXPECT_EQ(b_.processors.sent.size(), 2u);
}

TEST_F(IoApicTest, EdgeOnAMaskedPinIsLost) {
  b_.ioapic->SetPin(4, true);
  b_.Program(4, 0x31);
  EXPECT_THAT(b_.processors.sent, IsEmpty());
  EXPECT_EQ(b_.ioapic->counters().ignored_edges.value(), 1u);
}

TEST_F(IoApicTest, LevelIsSentAgainAtItsEndWhileTheLineIsHigh) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  EXPECT_THAT(b_.processors.sent, ElementsAre(MsiMessage{0xfee00000, kLevel | 0x51}));
  EXPECT_EQ(b_.Get(0x30), kLevel | kRemoteIrr | 0x51);
  b_.ioapic->EndOfInterrupt(0x52);  // another's
  EXPECT_EQ(b_.processors.sent.size(), 1u);
  b_.ioapic->EndOfInterrupt(0x51);
  EXPECT_EQ(b_.processors.sent.size(), 2u);
  b_.ioapic->SetPin(16, false);
  b_.ioapic->EndOfInterrupt(0x51);
  EXPECT_EQ(b_.processors.sent.size(), 2u);
  EXPECT_EQ(b_.Get(0x30), kLevel | 0x51);
}

TEST_F(IoApicTest, LevelThatRisesAgainBeforeItsEndIsSentAtTheEnd) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  b_.ioapic->SetPin(16, false);
  b_.ioapic->SetPin(16, true);
  EXPECT_EQ(b_.processors.sent.size(), 1u);
  b_.ioapic->EndOfInterrupt(0x51);
  EXPECT_EQ(b_.processors.sent.size(), 2u);
}

TEST_F(IoApicTest, EoiRegisterEndsAnInterrupt) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  b_.ioapic->SetPin(16, false);
  b_.Put(0x40, 0x51);
  EXPECT_EQ(b_.Get(0x30), kLevel | 0x51);
}

TEST_F(IoApicTest, MaskedLevelIsSentWhenItIsUnmasked) {
  b_.Program(16, kMasked | kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  EXPECT_THAT(b_.processors.sent, IsEmpty());
  b_.Program(16, kLevel | 0x51);
  EXPECT_EQ(b_.processors.sent.size(), 1u);
}

TEST_F(IoApicTest, SwitchToEdgeAndBackEndsAnInterruptByHand) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  b_.Set(0x30, kMasked | 0x51);
  EXPECT_EQ(b_.Get(0x30), kMasked | 0x51);
  EXPECT_EQ(b_.processors.sent.size(), 1u);
  b_.Set(0x30, kLevel | 0x51);
  EXPECT_EQ(b_.processors.sent.size(), 2u);
}

TEST_F(IoApicTest, ReadOnlyBitsStay) {
  b_.Program(16, kLevel | kRemoteIrr | 1 << 12 | 0x51);
  EXPECT_EQ(b_.Get(0x30), kLevel | 0x51);
}

TEST_F(IoApicTest, EntryBecomesTheMessageOfTheSameMeaning) {
  b_.Program(5, 0x131, 0x81U << 24);  // lowest priority
  b_.Program(6, 0x831, 0x0fU << 24);  // logical
  b_.Program(7, 0x31, 0x01020000);   // KVM's extended destination, 0x101
  b_.Program(8, 0x400);              // NMI
  for (const unsigned pin : {5U, 6U, 7U, 8U}) {
    b_.ioapic->SetPin(pin, true);
  }
  EXPECT_THAT(b_.processors.sent, ElementsAre(MsiMessage{0xfee81000, 0x131}, MsiMessage{0xfee0f004, 0x31},
                                              MsiMessage{0xfee01020, 0x31}, MsiMessage{0xfee00000, 0x400}));
}

TEST_F(IoApicTest, ExtIntReachesNobody) {
  b_.Program(0, 0x700);
  b_.ioapic->SetPin(0, true);
  EXPECT_THAT(b_.processors.sent, IsEmpty());
  EXPECT_EQ(b_.ioapic->counters().undeliverable.value(), 1u);
  EXPECT_FALSE(b_.processors.routes[0]);
}

TEST_F(IoApicTest, RouteIsThereWhileThePinMaySendAndUntilItsEndIsTold) {
  b_.Program(16, kLevel | 0x51);
  EXPECT_EQ(b_.processors.routes[16], (MsiMessage{0xfee00000, kLevel | 0x51}));
  b_.ioapic->SetPin(16, true);
  b_.Set(0x30, kMasked | kLevel | 0x51);
  EXPECT_TRUE(b_.processors.routes[16]);
  b_.ioapic->EndOfInterrupt(0x51);
  EXPECT_FALSE(b_.processors.routes[16]);
  const unsigned changes = b_.processors.changes;
  b_.Set(0x30, kMasked | kLevel | 0x51);
  EXPECT_EQ(b_.processors.changes, changes);  // a route that stays costs nothing
}

TEST_F(IoApicTest, InterruptThatIsNeverServedIsHeldBackForAMoment) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  for (unsigned i = 0; i < 20'000; i++) {
    b_.ioapic->EndOfInterrupt(0x51);
  }
  EXPECT_EQ(b_.processors.sent.size(), 10'000u);
  EXPECT_EQ(b_.ioapic->counters().storms.value(), 1u);
  b_.host.fake_clock.Advance(10'000'000);
  EXPECT_EQ(b_.processors.sent.size(), 10'001u);
}

TEST_F(IoApicTest, AccessesThatAreNotThereAreCounted) {
  b_.Put(0, 0x10);
  EXPECT_EQ(b_.host.memory.Read(kAt + 0x10, 1), 0u);
  b_.Put(0x10, 0, 2);
  b_.Put(0x40, 0, 1);
  b_.Put(0x80, 0);
  EXPECT_EQ(b_.host.memory.Read(kAt + 0x20, 4), 0u);
  b_.Set(1, 0);
  EXPECT_EQ(b_.ioapic->counters().ignored_accesses.value(), 6u);
  b_.ioapic->SetPin(24, true);
  EXPECT_THAT(b_.processors.sent, IsEmpty());
}

TEST_F(IoApicTest, SavedStateComesBackWithItsRoutes) {
  b_.Program(16, kLevel | 0x51);
  b_.Program(4, 0x31);
  b_.ioapic->SetPin(16, true);
  b_.ioapic->SetPin(4, true);
  const auto bytes = Saved(*b_.ioapic);
  Board other;
  ASSERT_TRUE(LoadInto(*other.ioapic, bytes));
  EXPECT_EQ(Saved(*other.ioapic), bytes);
  other.processors.held = {0x51};
  other.ioapic->Resume();
  EXPECT_EQ(other.processors.routes, b_.processors.routes);
  other.ioapic->SetPin(4, true);  // its device tells it again: no second edge
  EXPECT_THAT(other.processors.sent, IsEmpty());
  other.ioapic->EndOfInterrupt(0x51);
  EXPECT_EQ(other.processors.sent.size(), 1u);
}

TEST_F(IoApicTest, EndThatNobodyReportedIsFoundAtAResume) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  b_.ioapic->Resume();  // no local APIC holds vector 0x51
  EXPECT_EQ(b_.processors.sent.size(), 2u);
  EXPECT_EQ(b_.ioapic->counters().unseen_ends.value(), 1u);
}

TEST_F(IoApicTest, ResetMasksEveryPinAndKeepsTheLines) {
  b_.Program(16, kLevel | 0x51);
  b_.ioapic->SetPin(16, true);
  b_.ioapic->Reset();
  EXPECT_EQ(b_.Get(0x30), kMasked);
  EXPECT_FALSE(b_.processors.routes[16]);
  b_.Program(16, kLevel | 0x51);
  EXPECT_EQ(b_.processors.sent.size(), 2u);  // the line is still high
}

TEST_F(IoApicTest, HostileStateIsRefused) {
  std::string entries = "0";
  for (unsigned pin = 1; pin < IoApic::kPins - 1; pin++) {
    entries += ",0";
  }
  EXPECT_EQ(LoadError(*b_.ioapic, R"({"redirection": [)" + entries + ",0]}"), "");
  EXPECT_NE(LoadError(*b_.ioapic, R"({"redirection": [)" + entries + "]}"), "");
  EXPECT_NE(LoadError(*b_.ioapic, R"({"redirection": [)" + entries + ",16384]}"), "");
  EXPECT_NE(LoadError(*b_.ioapic, R"({"redirection": [)" + entries + ",4096]}"), "");
  EXPECT_NE(LoadError(*b_.ioapic, R"({"id": 16})"), "");
  EXPECT_NE(LoadError(*b_.ioapic, R"({"requests": 16777216})"), "");
}

}  // namespace
}  // namespace nandu
