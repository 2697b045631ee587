#include "devices/legacy/i8254.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

constexpr uint16_t kCounter0 = 0x40, kCounter2 = 0x42, kControl = 0x43, kSpeaker = 0x61;
constexpr int64_t kTickNs = 839;  // a little more than one

struct Board {
  Board() { pit = I8254::Create(host, std::make_unique<FakeIrqShare>(irq)).value(); }
  void Program(uint8_t control, uint16_t count) {
    const auto port = static_cast<uint16_t>(kCounter0 + (control >> 6));
    Out(host, kControl, control);
    Out(host, port, count & 0xff);
    Out(host, port, count >> 8);
  }
  uint16_t Word(uint16_t port) {
    const uint8_t low = In(host, port);
    return static_cast<uint16_t>(low | In(host, port) << 8);
  }
  uint16_t Count(unsigned counter) {
    Out(host, kControl, counter << 6);
    return Word(static_cast<uint16_t>(kCounter0 + counter));
  }
  void Advance(int64_t ns) { host.fake_clock.Advance(ns); }
  FakeHost host;
  FakeIrqLine irq;
  std::unique_ptr<I8254> pit;
};

class I8254Test : public testing::Test {
 protected:
  Board b_;
};

TEST_F(I8254Test, RateGeneratorInterruptsAtItsRate) {
  b_.Program(0x34, 11932);  // 100 Hz
  const unsigned before = b_.irq.rises();
  b_.Advance(1'000'000'000);
  EXPECT_EQ(b_.irq.rises() - before, 99u);  // 99.998 periods
}

TEST_F(I8254Test, SquareWaveInterruptsOnceAPeriod) {
  b_.Program(0x36, 11932);
  const unsigned before = b_.irq.rises();
  b_.Advance(5'100'000);
  EXPECT_FALSE(b_.irq.level());  // the second half
  b_.Advance(994'900'000);
  EXPECT_EQ(b_.irq.rises() - before, 99u);
}

TEST_F(I8254Test, CountOfZeroIsTheLargest) {
  b_.Program(0x34, 0);  // 18.2 Hz
  const unsigned before = b_.irq.rises();
  b_.Advance(1'000'000'000);
  EXPECT_EQ(b_.irq.rises() - before, 18u);
}

TEST_F(I8254Test, TerminalCountRaisesItsOutputOnceAndKeepsItHigh) {
  b_.Program(0x30, 1000);
  EXPECT_FALSE(b_.irq.level());
  b_.Advance(1000 * kTickNs - 2000);
  EXPECT_FALSE(b_.irq.level());
  b_.Advance(2000);
  EXPECT_TRUE(b_.irq.level());
  const unsigned rises = b_.irq.rises();
  b_.Advance(1'000'000'000);
  EXPECT_TRUE(b_.irq.level());
  EXPECT_EQ(b_.irq.rises(), rises);
  Out(b_.host, kCounter0, 0x10);  // the first byte of a new count
  EXPECT_FALSE(b_.irq.level());
}

TEST_F(I8254Test, SoftwareStrobeInterruptsOnce) {
  b_.Program(0x38, 1000);
  const unsigned before = b_.irq.rises();
  b_.Advance(1'000'000'000);
  EXPECT_EQ(b_.irq.rises() - before, 1u);
}

TEST_F(I8254Test, CountsDownAsTimePasses) {
  b_.Program(0x34, 1000);
  EXPECT_EQ(b_.Count(0), 1000u);
  b_.Advance(100 * kTickNs);
  EXPECT_NEAR(b_.Count(0), 900, 1);
  b_.Advance(1000 * kTickNs);
  EXPECT_NEAR(b_.Count(0), 900, 2);
  b_.Program(0x30, 1000);
  b_.Advance(1001 * kTickNs);
  EXPECT_NEAR(b_.Count(0), 0xffff, 2);  // mode 0 goes on below zero
}

TEST_F(I8254Test, SquareWaveCountsByTwo) {
  b_.Program(0x36, 1000);
  b_.Advance(100 * kTickNs);
  EXPECT_NEAR(b_.Count(0), 800, 2);
}

TEST_F(I8254Test, LatchHoldsWhileTheCounterGoesOn) {
  b_.Program(0x34, 10000);
  Out(b_.host, kControl, 0x00);
  b_.Advance(5000 * kTickNs);
  Out(b_.host, kControl, 0x00);  // ignored: the first one was not read yet
  EXPECT_EQ(b_.Word(kCounter0), 10000);
  EXPECT_NEAR(b_.Word(kCounter0), 5000, 6);  // live
}

TEST_F(I8254Test, BinaryCodedDecimalCountsInTens) {
  b_.Program(0x35, 0x1000);
  b_.Advance(1 * kTickNs);
  EXPECT_EQ(b_.Count(0), 0x0999u);
}

TEST_F(I8254Test, StateBetweenControlWordAndCountCanBeLoaded) {
  Out(b_.host, kControl, 0x35);
  Board other;
  EXPECT_TRUE(LoadInto(*other.pit, Saved(*b_.pit)));
}

TEST_F(I8254Test, OneByteAccess) {
  Out(b_.host, kControl, 0x14);  // low byte, mode 2
  Out(b_.host, kCounter0, 100);
  b_.Advance(10 * kTickNs);
  EXPECT_NEAR(In(b_.host, kCounter0), 90, 1);
  Out(b_.host, kControl, 0x24);  // high byte
  Out(b_.host, kCounter0, 0x20);
  EXPECT_EQ(In(b_.host, kCounter0), 0x20);
}

TEST_F(I8254Test, ReadBackTellsStatusThenCount) {
  b_.Program(0x34, 500);
  Out(b_.host, kControl, 0xc2);  // both of counter 0
  EXPECT_EQ(In(b_.host, kCounter0), 0xb4);
  EXPECT_EQ(b_.Word(kCounter0), 500);
  Out(b_.host, kControl, 0x30);
  Out(b_.host, kControl, 0xe2);             // status only
  EXPECT_EQ(In(b_.host, kCounter0), 0x70);  // output low, no count yet
}

TEST_F(I8254Test, SpeakersGateAndOutputStandAtPort61) {
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x23, 0x20);  // the output of a counter that was never set is high
  Out(b_.host, kSpeaker, 0x01);
  b_.Program(0xb0, 1000);  // as operating systems calibrate with it
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x23, 0x01);
  b_.Advance(1000 * kTickNs);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x23, 0x21);
  Out(b_.host, kSpeaker, 0x03);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x03, 0x03);
}

TEST_F(I8254Test, RefreshBitToggles) {
  const uint8_t before = In(b_.host, kSpeaker) & 0x10;
  b_.Advance(1 << 14);
  EXPECT_NE(In(b_.host, kSpeaker) & 0x10, before);
}

TEST_F(I8254Test, GateHoldsTheCount) {
  Out(b_.host, kSpeaker, 0x01);
  b_.Program(0xb0, 1000);
  b_.Advance(400 * kTickNs);
  Out(b_.host, kSpeaker, 0x00);
  b_.Advance(1'000'000);
  EXPECT_NEAR(b_.Count(2), 600, 1);
  Out(b_.host, kSpeaker, 0x01);
  b_.Advance(100 * kTickNs);
  EXPECT_NEAR(b_.Count(2), 500, 2);
}

TEST_F(I8254Test, GateStartsAOneShot) {
  b_.Program(0xb2, 1000);
  b_.Advance(1'000'000);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x20, 0x20);
  Out(b_.host, kSpeaker, 0x01);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x20, 0);
  b_.Advance(1000 * kTickNs);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x20, 0x20);
}

TEST_F(I8254Test, ReadingAnotherCounterDoesNotTouchAnEdgeThatIsDue) {
  b_.Program(0x30, 10);
  const unsigned before = b_.irq.rises();
  Out(b_.host, kControl, 0x80);
  In(b_.host, kCounter2);
  b_.Program(0xb4, 100);
  b_.Advance(20 * kTickNs);
  EXPECT_EQ(b_.irq.rises() - before, 1u);
}

TEST_F(I8254Test, ShortPeriodsDoNotFloodTheLoop) {
  b_.Program(0x34, 2);
  b_.Advance(10'000'000);
  EXPECT_LE(b_.host.fake_clock.fired(), 501u);
  EXPECT_GT(b_.irq.rises(), 400u);
  EXPECT_GT(b_.pit->counters().merged_periods.value(), 0u);
}

TEST_F(I8254Test, HpetTakesTheInterruptAndGivesItBack) {
  b_.Program(0x34, 11932);
  b_.pit->SetDisconnected(true);
  EXPECT_FALSE(b_.irq.level());
  const unsigned before = b_.irq.rises();
  b_.Advance(1'000'000'000);
  EXPECT_EQ(b_.irq.rises(), before);
  EXPECT_EQ(b_.host.fake_clock.armed(), 0u);
  b_.pit->SetDisconnected(false);
  b_.Advance(100'000'000);
  EXPECT_GE(b_.irq.rises() - before, 9u);
}

TEST_F(I8254Test, SavedStateGoesOnWhereItWas) {
  b_.Program(0x34, 11932);
  b_.Program(0xb0, 1000);
  Out(b_.host, kSpeaker, 0x03);
  Out(b_.host, kControl, 0xe8);  // a latched status
  Out(b_.host, kCounter2, 0x55);
  const auto bytes = Saved(*b_.pit);
  Board other;
  ASSERT_TRUE(LoadInto(*other.pit, bytes));
  EXPECT_EQ(Saved(*other.pit), bytes);
  other.pit->Resume();
  const unsigned before = other.irq.rises();
  other.Advance(100'000'000);
  EXPECT_EQ(other.irq.rises() - before, 9u);
}

TEST_F(I8254Test, EdgeThatWasDueWhenTheGuestStoodStillComesOnce) {
  const std::string due =
      R"({"channels": [{"mode": 0, "counting": true, "count": 1000}, {}, {}], "edge-ns": 838096})";
  Board other;
  other.Advance(2'000'000);
  ASSERT_EQ(LoadError(*other.pit, due), "");
  const unsigned before = other.irq.rises();
  other.pit->Resume();
  EXPECT_EQ(other.irq.rises(), before);
  other.Advance(1);
  EXPECT_EQ(other.irq.rises() - before, 1u);
  EXPECT_TRUE(other.irq.level());
}

TEST_F(I8254Test, ResetStopsEverything) {
  b_.Program(0x34, 100);
  Out(b_.host, kSpeaker, 3);
  b_.pit->Reset();
  EXPECT_EQ(b_.host.fake_clock.armed(), 0u);
  EXPECT_EQ(In(b_.host, kSpeaker) & 0x03, 0);
}

TEST_F(I8254Test, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{"mode": 6}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{"count": 0}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{"bcd": true, "count": 10001}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{"access": 0}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{"loaded-ns": 9223372036854775807}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.pit, R"({"channels": [{}, {}, {}], "edge-ns": 0})"), "");
}

}  // namespace
}  // namespace nandu
