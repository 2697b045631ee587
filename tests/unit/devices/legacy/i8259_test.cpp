#include "devices/legacy/i8259.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

constexpr uint16_t kMaster = 0x20, kSlave = 0xa0, kElcr = 0x4d0;

struct Board {
  Board() { pic = I8259::Create(host, intr).value(); }
  // As firmware does it: vectors 0x08 and 0x70, nothing masked.
  void Initialise(uint8_t icw4 = 0x01) {
    for (const auto& [port, base, cascade] :
         {std::array<int, 3>{kMaster, 0x08, 0x04}, {kSlave, 0x70, 0x02}}) {
      Out(host, static_cast<uint16_t>(port), 0x11);
      Out(host, static_cast<uint16_t>(port + 1), static_cast<uint8_t>(base));
      Out(host, static_cast<uint16_t>(port + 1), static_cast<uint8_t>(cascade));
      Out(host, static_cast<uint16_t>(port + 1), icw4);
    }
  }
  void Pulse(unsigned line) {
    pic->SetLine(line, true);
    pic->SetLine(line, false);
  }
  FakeHost host;
  FakeIrqLine intr;
  std::unique_ptr<I8259> pic;
};

class I8259Test : public testing::Test {
 protected:
  I8259Test() { b_.Initialise(); }
  Board b_;
};

TEST_F(I8259Test, EdgeRaisesIntrAndAnswersWithItsVectorOnce) {
  b_.Pulse(4);
  EXPECT_TRUE(b_.intr.level());
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0c);
  EXPECT_FALSE(b_.intr.level());
  EXPECT_EQ(b_.pic->Acknowledge(), std::nullopt);
  EXPECT_TRUE(b_.pic->InService(0x0c));
  Out(b_.host, kMaster, 0x20);
  EXPECT_FALSE(b_.pic->InService(0x0c));
}

TEST_F(I8259Test, SlavesInterruptComesThroughTheCascade) {
  b_.Pulse(14);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x76);
  Out(b_.host, kMaster, 0x0b);
  EXPECT_EQ(In(b_.host, kMaster), 1 << 2);
  Out(b_.host, kSlave, 0x0b);
  EXPECT_EQ(In(b_.host, kSlave), 1 << 6);
  EXPECT_TRUE(b_.pic->InService(0x76));
}

TEST_F(I8259Test, HigherPriorityInterruptsAndLowerWaits) {
  b_.Pulse(5);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0d);
  b_.Pulse(7);
  EXPECT_FALSE(b_.intr.level());
  b_.Pulse(1);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x09);
  Out(b_.host, kMaster, 0x20);  // ends line 1
  EXPECT_FALSE(b_.intr.level());
  Out(b_.host, kMaster, 0x20);  // ends line 5
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0f);
}

TEST_F(I8259Test, MaskedLineWaitsUntilItIsUnmasked) {
  Out(b_.host, kMaster + 1, 0x10);
  b_.Pulse(4);
  EXPECT_FALSE(b_.intr.level());
  EXPECT_EQ(In(b_.host, kMaster), 0x10);  // requested
  Out(b_.host, kMaster + 1, 0);
  EXPECT_TRUE(b_.intr.level());
  EXPECT_EQ(In(b_.host, kMaster + 1), 0);
}

TEST_F(I8259Test, LevelTriggeredLineRequestsAsLongAsItIsHigh) {
  Out(b_.host, kElcr, 0x20);
  b_.pic->SetLine(5, true);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0d);
  Out(b_.host, kMaster, 0x65);  // specific EOI
  EXPECT_TRUE(b_.intr.level());
  b_.pic->SetLine(5, false);
  EXPECT_FALSE(b_.intr.level());
  EXPECT_EQ(b_.pic->Acknowledge(), std::nullopt);  // gone before the processor came
}

TEST_F(I8259Test, OnlySomeLinesCanBeLevelTriggered) {
  Out(b_.host, kElcr, 0xffff, 2);
  EXPECT_EQ(b_.host.io.Read(kElcr, 2), 0xdef8u);
}

TEST_F(I8259Test, RotationMakesTheServedLineTheLast) {
  b_.Pulse(3);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0b);
  Out(b_.host, kMaster, 0xa0);  // rotate on non-specific EOI: line 4 is first now
  b_.Pulse(3);
  b_.Pulse(6);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0e);
  Out(b_.host, kMaster, 0xc7);  // set priority: line 7 last, 0 first again
  Out(b_.host, kMaster, 0x66);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0b);
}

TEST_F(I8259Test, AutomaticEoiLeavesNothingInService) {
  b_.Initialise(0x03);
  b_.Pulse(4);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0c);
  EXPECT_FALSE(b_.pic->InService(0x0c));
  b_.Pulse(4);
  EXPECT_TRUE(b_.intr.level());
}

TEST_F(I8259Test, SpecialMaskLetsLowerLinesPassAMaskedOneInService) {
  b_.Pulse(1);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x09);
  b_.Pulse(6);
  EXPECT_FALSE(b_.intr.level());
  Out(b_.host, kMaster + 1, 1 << 1);
  Out(b_.host, kMaster, 0x68);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0e);
}

TEST_F(I8259Test, SpecialFullyNestedSlaveInterruptsItself) {
  b_.Pulse(12);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x74);
  b_.Pulse(8);
  EXPECT_FALSE(b_.intr.level());  // the master's cascade is in service
  b_.Initialise(0x11);
  b_.Pulse(12);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x74);
  b_.Pulse(8);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x70);
}

TEST_F(I8259Test, SlaveWhoseRequestIsGoneAnswersWithLine7) {
  Out(b_.host, kElcr + 1, 0x08);
  b_.pic->SetLine(11, true);
  Out(b_.host, kSlave, 0x0c);  // the poll takes the slave's request ...
  EXPECT_EQ(In(b_.host, kSlave), 0x83);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x77);  // ... which the master has latched
  EXPECT_EQ(b_.pic->counters().spurious.value(), 1u);
}

TEST_F(I8259Test, PollAcknowledges) {
  Out(b_.host, kMaster, 0x0c);
  EXPECT_EQ(In(b_.host, kMaster), 0);
  b_.Pulse(3);
  Out(b_.host, kMaster, 0x0c);
  EXPECT_EQ(In(b_.host, kMaster), 0x83);
  EXPECT_FALSE(b_.intr.level());
  EXPECT_TRUE(b_.pic->InService(0x0b));
}

TEST_F(I8259Test, InitialisationForgetsEdgesAndMasks) {
  Out(b_.host, kMaster + 1, 0xff);
  b_.Pulse(4);
  b_.Initialise();
  EXPECT_EQ(In(b_.host, kMaster + 1), 0);
  EXPECT_FALSE(b_.intr.level());
}

TEST_F(I8259Test, SingleChipWithoutIcw4TakesOneByte) {
  Out(b_.host, kMaster, 0x12);
  Out(b_.host, kMaster + 1, 0x20);
  Out(b_.host, kMaster + 1, 0xfe);  // a mask already
  EXPECT_EQ(In(b_.host, kMaster + 1), 0xfe);
  b_.Pulse(0);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x20);
}

TEST_F(I8259Test, CascadeTakesNoLineOfABoard) {
  b_.Pulse(2);
  b_.Pulse(16);
  EXPECT_FALSE(b_.intr.level());
}

TEST_F(I8259Test, SavedStateComesBackInTheMiddleOfEverything) {
  Out(b_.host, kElcr, 0x20);
  b_.pic->SetLine(5, true);
  EXPECT_EQ(b_.pic->Acknowledge(), 0x0d);
  b_.Pulse(1);
  Out(b_.host, kSlave, 0x11);  // half of an initialisation
  const auto bytes = Saved(*b_.pic);
  Board other;
  ASSERT_TRUE(LoadInto(*other.pic, bytes));
  EXPECT_EQ(Saved(*other.pic), bytes);
  EXPECT_FALSE(other.intr.level());
  other.pic->Resume();
  EXPECT_EQ(other.pic->Acknowledge(), 0x09);
  other.pic->SetLine(5, true);  // its device tells it again: no second edge
  Out(other.host, kSlave + 1, 0x70);
  Out(other.host, kSlave + 1, 0x02);
  Out(other.host, kSlave + 1, 0x01);
  Out(other.host, kMaster, 0x20);
  Out(other.host, kMaster, 0x20);
  other.Pulse(8);
  EXPECT_EQ(other.pic->Acknowledge(), 0x70);
}

TEST_F(I8259Test, ResetKeepsTheLinesAndNothingElse) {
  b_.pic->SetLine(4, true);
  b_.pic->Reset();
  EXPECT_FALSE(b_.intr.level());
  b_.Initialise();
  b_.pic->SetLine(4, true);  // no edge: it was high all the time
  EXPECT_FALSE(b_.intr.level());
}

TEST_F(I8259Test, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*b_.pic, R"({"master": {"level": 1}})"), "");
  EXPECT_NE(LoadError(*b_.pic, R"({"slave": {"highest": 8}})"), "");
  EXPECT_NE(LoadError(*b_.pic, R"({"slave": {"vector-base": 3}})"), "");
  EXPECT_NE(LoadError(*b_.pic, R"({"master": {"level": 32, "requests": 32}})"), "");
  EXPECT_NE(LoadError(*b_.pic, R"({"master": {"init": "icw9"}})"), "");
}

}  // namespace
}  // namespace nandu
