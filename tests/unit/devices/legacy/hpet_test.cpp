#include "devices/legacy/hpet.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

constexpr uint64_t kAt = 0xfed00000;

struct Board {
  Board() {
    Hpet::Options options;
    options.claim_gsi = [this](unsigned gsi) {
      return std::make_unique<FakeIrqShare>(gsi < 16 ? host.isa[gsi] : high.at(gsi - 16));
    };
    options.legacy_replacement = [this](bool on) { told.push_back(on); };
    hpet = Hpet::Create(host, std::move(options)).value();
  }
  uint64_t Get(uint64_t reg, unsigned size = 8) { return host.memory.Read(kAt + reg, size); }
  void Put(uint64_t reg, uint64_t value, unsigned size = 8) {
    EXPECT_EQ(host.memory.Write(kAt + reg, size, value).token(), nullptr);
  }
  FakeHost host;
  std::array<FakeIrqLine, 8> high;
  std::vector<bool> told;
  std::unique_ptr<Hpet> hpet;
};

class HpetTest : public testing::Test {
 protected:
  Board b_;
  void Advance(int64_t ns) { b_.host.fake_clock.Advance(ns); }
};

TEST_F(HpetTest, CapabilitiesAreQemus) {
  EXPECT_EQ(b_.Get(0), 0x009896808086a201u);
  EXPECT_EQ(b_.Get(0, 4), 0x8086a201u);
  EXPECT_EQ(b_.Get(4, 4), 10'000'000u);
  EXPECT_EQ(b_.Get(0x100), 0x00ff010400000030u);
  EXPECT_EQ(b_.Get(0x108), ~uint64_t{0});
  EXPECT_EQ(b_.Get(0x160), 0u);
}

TEST_F(HpetTest, CounterRunsOnlyWhileEnabled) {
  Advance(1000);
  EXPECT_EQ(b_.Get(0xf0), 0u);
  b_.Put(0x10, 1);
  Advance(1000);
  EXPECT_EQ(b_.Get(0xf0), 100u);
  b_.Put(0x10, 0);
  Advance(1000);
  EXPECT_EQ(b_.Get(0xf0), 100u);
}

TEST_F(HpetTest, CounterIsWrittenInHalves) {
  b_.Put(0xf0, 0x55667788, 4);
  b_.Put(0xf4, 0x11223344, 4);
  EXPECT_EQ(b_.Get(0xf0), 0x1122334455667788u);
  EXPECT_EQ(b_.Get(0xf4, 4), 0x11223344u);
}

TEST_F(HpetTest, OneShotFiresOnceAtItsComparator) {
  b_.Put(0x100, 1 << 2 | 16 << 9);
  b_.Put(0x108, 500);
  b_.Put(0x10, 1);
  Advance(4990);
  EXPECT_EQ(b_.high[0].rises(), 0u);
  Advance(10);
  EXPECT_EQ(b_.high[0].rises(), 1u);
  Advance(1'000'000'000);
  EXPECT_EQ(b_.high[0].rises(), 1u);
}

TEST_F(HpetTest, PeriodicFiresAtEveryPeriod) {
  b_.Put(0x100, 1 << 2 | 1 << 3 | 1 << 6 | 16 << 9);
  b_.Put(0x108, 100'000);  // the accumulator, and the period
  b_.Put(0x10, 1);
  Advance(10'000'000);
  EXPECT_EQ(b_.high[0].rises(), 10u);
}

// The way Linux programs it: accumulator first, then the period (arch/x86/kernel/hpet.c,
// hpet_clkevt_set_state_periodic).
TEST_F(HpetTest, PeriodicTakesAccumulatorThenPeriod) {
  b_.Put(0x10, 1);
  b_.Put(0x100, 1 << 2 | 1 << 3 | 1 << 6 | 1 << 8 | 16 << 9, 4);
  b_.Put(0x108, 50'000, 4);
  b_.Put(0x108, 100'000, 4);
  Advance(500'000);
  EXPECT_EQ(b_.high[0].rises(), 1u);
  Advance(1'000'000);
  EXPECT_EQ(b_.high[0].rises(), 2u);
}

TEST_F(HpetTest, PeriodOfOneTickDoesNotFloodTheLoop) {
  b_.Put(0x100, 1 << 2 | 1 << 3 | 1 << 6 | 16 << 9);
  b_.Put(0x108, 1);
  b_.Put(0x10, 1);
  Advance(10'000'000);
  EXPECT_LE(b_.host.fake_clock.fired(), 501u);
  EXPECT_GT(b_.hpet->counters().merged_periods.value(), 0u);
}

TEST_F(HpetTest, PeriodOfZeroStops) {
  b_.Put(0x100, 1 << 2 | 1 << 3 | 16 << 9);
  b_.Put(0x108, 0);
  b_.Put(0x10, 1);
  Advance(1'000'000);
  EXPECT_LE(b_.host.fake_clock.fired(), 1u);
}

TEST_F(HpetTest, LevelTriggeredLineStaysUntilItsStatusIsCleared) {
  b_.Put(0x100, 1 << 1 | 1 << 2 | 17 << 9);
  b_.Put(0x108, 100);
  b_.Put(0x10, 1);
  Advance(1000);
  EXPECT_TRUE(b_.high[1].level());
  EXPECT_EQ(b_.Get(0x20), 1u);
  b_.Put(0x20, 1);
  EXPECT_FALSE(b_.high[1].level());
  EXPECT_EQ(b_.Get(0x20), 0u);
}

TEST_F(HpetTest, LineOfTwoTimersFallsWhenBothAreCleared) {
  for (const uint64_t timer : {uint64_t{0}, uint64_t{1}}) {
    b_.Put(0x100 + timer * 0x20, 1 << 1 | 1 << 2 | 16 << 9);
    b_.Put(0x108 + timer * 0x20, 10);
  }
  b_.Put(0x10, 1);
  Advance(200);
  b_.Put(0x20, 1);
  EXPECT_TRUE(b_.high[0].level());
  b_.Put(0x20, 2);
  EXPECT_FALSE(b_.high[0].level());
}

TEST_F(HpetTest, LegacyReplacementTakesInterrupts0And8) {
  b_.Put(0x10, 3);
  EXPECT_EQ(b_.told, (std::vector<bool>{true}));
  b_.Put(0x100, 1 << 2);
  b_.Put(0x108, b_.Get(0xf0) + 100);
  b_.Put(0x120, 1 << 2);
  b_.Put(0x128, b_.Get(0xf0) + 100);
  Advance(2000);
  EXPECT_EQ(b_.host.isa[0].rises(), 1u);
  EXPECT_EQ(b_.host.isa[8].rises(), 1u);
  b_.Put(0x10, 1);
  EXPECT_EQ(b_.told, (std::vector<bool>{true, false}));
}

TEST_F(HpetTest, ClockReachesInterrupt8OnlyOutsideLegacyReplacement) {
  b_.hpet->rtc_line().Set(true);
  EXPECT_TRUE(b_.host.isa[8].level());
  b_.Put(0x10, 2);
  EXPECT_FALSE(b_.host.isa[8].level());
  b_.hpet->rtc_line().Set(false);
  b_.hpet->rtc_line().Set(true);
  EXPECT_FALSE(b_.host.isa[8].level());
  b_.Put(0x10, 0);
  EXPECT_TRUE(b_.host.isa[8].level());
}

TEST_F(HpetTest, RouteThatIsNotPossibleGoesNowhere) {
  b_.Put(0x100, 1 << 2 | 5 << 9);
  b_.Put(0x108, 100);
  b_.Put(0x10, 1);
  Advance(10'000);
  EXPECT_EQ(b_.host.isa[5].rises(), 0u);
}

TEST_F(HpetTest, NarrowAndCrookedAccessesAreCounted) {
  EXPECT_EQ(b_.Get(0x10, 1), 0u);
  b_.Put(0x11, 1, 4);
  EXPECT_EQ(b_.hpet->counters().ignored_accesses.value(), 2u);
}

TEST_F(HpetTest, ResetStopsEverythingAndGivesThePitBack) {
  b_.Put(0x100, 1 << 1 | 1 << 2);
  b_.Put(0x108, 10);
  b_.Put(0x10, 3);
  Advance(1000);
  b_.hpet->Reset();
  EXPECT_FALSE(b_.host.isa[0].level());
  EXPECT_EQ(b_.told, (std::vector<bool>{true, false}));
  EXPECT_EQ(b_.host.fake_clock.armed(), 0u);
  EXPECT_EQ(b_.Get(0xf0), 0u);
}

TEST_F(HpetTest, SavedStateComesBackAndItsTimersGoOn) {
  b_.Put(0x100, 1 << 1 | 1 << 2 | 18 << 9);
  b_.Put(0x108, 1000);
  b_.Put(0x10, 3 & 1);
  const auto bytes = Saved(*b_.hpet);
  Board other;
  ASSERT_TRUE(LoadInto(*other.hpet, bytes));
  EXPECT_EQ(Saved(*other.hpet), bytes);
  other.hpet->Resume();
  other.host.fake_clock.Advance(10'000);
  EXPECT_TRUE(other.high[2].level());
}

TEST_F(HpetTest, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*b_.hpet, R"({"started-ns": -1})"), "");
  EXPECT_NE(LoadError(*b_.hpet, R"({"timers": [{"config": 1}, {}, {}]})"), "");
  EXPECT_NE(LoadError(*b_.hpet, R"({"timers": [{}]})"), "");
}

}  // namespace
}  // namespace nandu
