#include "devices/legacy/rtc.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "devices/legacy/rtc_registers.h"

namespace nandu {
namespace {

using namespace rtc;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kMsNs = 1'000'000;
constexpr int64_t kStart = 1'709'210'096;  // Thursday, 29 February 2024, 12:34:56 UTC

class RtcPorts : public testing::Test {
 protected:
  RtcPorts() { host_.fake_clock.SetRealtimeNs(kStart * kSecondNs); }
  uint8_t Get(unsigned index) {
    Out(host_, 0x70, index);
    return In(host_, 0x71);
  }
  void Put(unsigned index, uint8_t value) {
    Out(host_, 0x70, index);
    Out(host_, 0x71, value);
  }
  std::unique_ptr<Rtc> Make(const Rtc::Options& options = {}) {
    return Rtc::Create(host_, host_.isa[8], options).value();
  }
  FakeIrqLine& irq() { return host_.isa[8]; }
  FakeHost host_;
};

TEST_F(RtcPorts, TellsTheHostsTimeInBcd) {
  const auto rtc = Make();
  EXPECT_EQ(Get(kSeconds), 0x56);
  EXPECT_EQ(Get(kMinutes), 0x34);
  EXPECT_EQ(Get(kHours), 0x12);
  EXPECT_EQ(Get(kDayOfWeek), 5);
  EXPECT_EQ(Get(kDayOfMonth), 0x29);
  EXPECT_EQ(Get(kMonth), 0x02);
  EXPECT_EQ(Get(kYear), 0x24);
  EXPECT_EQ(Get(kCentury), 0x20);
}

TEST_F(RtcPorts, TimeGoesOn) {
  const auto rtc = Make();
  host_.fake_clock.Advance(4 * kSecondNs);
  EXPECT_EQ(Get(kSeconds), 0x00);
  EXPECT_EQ(Get(kMinutes), 0x35);
}

TEST_F(RtcPorts, BinaryAndTwelveHourFormatsAreHonoured) {
  const auto rtc = Make();
  Put(kRegisterB, kBinary);
  EXPECT_EQ(Get(kSeconds), 56);
  EXPECT_EQ(Get(kHours), 12 | kPm);
}

TEST_F(RtcPorts, StartsWithTheOffsetItIsGiven) {
  const auto rtc = Make({.offset_s = 3600});
  EXPECT_EQ(Get(kHours), 0x13);
}

TEST_F(RtcPorts, GuestSetsItWhileItStands) {
  const auto rtc = Make();
  Put(kRegisterB, kSet | k24Hours);
  Put(kYear, 0x99);
  Put(kCentury, 0x19);
  Put(kMonth, 0x12);
  Put(kDayOfMonth, 0x31);
  Put(kHours, 0x23);
  Put(kMinutes, 0x59);
  Put(kSeconds, 0x59);
  host_.fake_clock.Advance(10 * kSecondNs);
  EXPECT_EQ(Get(kSeconds), 0x59);
  Put(kRegisterB, k24Hours);
  host_.fake_clock.Advance(1 * kSecondNs);
  EXPECT_EQ(Get(kYear), 0x00);
  EXPECT_EQ(Get(kCentury), 0x20);
  EXPECT_EQ(Get(kMonth), 0x01);
  EXPECT_EQ(Get(kSeconds), 0x00);
}

TEST_F(RtcPorts, GuestSetsOneByteWhileItRuns) {
  const auto rtc = Make();
  Put(kHours, 0x03);
  host_.fake_clock.Advance(1 * kSecondNs);
  EXPECT_EQ(Get(kHours), 0x03);
  EXPECT_EQ(Get(kSeconds), 0x57);
}

TEST_F(RtcPorts, TheYear9999IsPossible) {
  const auto rtc = Make();
  Put(kRegisterB, kSet | k24Hours);
  Put(kCentury, 0x99);
  Put(kYear, 0x99);
  Put(kRegisterB, k24Hours);
  host_.fake_clock.Advance(1 * kSecondNs);
  EXPECT_EQ(Get(kCentury), 0x99);
  EXPECT_EQ(Get(kYear), 0x99);
}

TEST_F(RtcPorts, YearsBefore1970ArePossible) {
  const auto rtc = Make();
  Put(kCentury, 0x19);
  Put(kYear, 0x04);
  EXPECT_EQ(Get(kCentury), 0x19);
  EXPECT_EQ(Get(kYear), 0x04);
  EXPECT_EQ(Get(kDayOfMonth), 0x29);
}

TEST_F(RtcPorts, FirstUpdateComesHalfASecondAfterTheDividerLeftReset) {
  const auto rtc = Make();
  Put(kRegisterA, 0x76);
  host_.fake_clock.Advance(7 * kSecondNs);
  Put(kRegisterA, 0x26);
  host_.fake_clock.Advance(499 * kMsNs);
  EXPECT_EQ(Get(kSeconds), 0x56);
  host_.fake_clock.Advance(2 * kMsNs);
  EXPECT_EQ(Get(kSeconds), 0x57);
}

TEST_F(RtcPorts, UpdateInProgressRisesJustBeforeTheUpdate) {
  const auto rtc = Make();
  EXPECT_EQ(Get(kRegisterA), 0x26);
  host_.fake_clock.Advance(kSecondNs - 200'000);
  EXPECT_EQ(Get(kRegisterA), 0x26 | kUpdateInProgress);
  host_.fake_clock.Advance(200'000);
  EXPECT_EQ(Get(kRegisterA), 0x26);
}

TEST_F(RtcPorts, UpdateFlagIsThereForWhoPollsAndReadingClearsIt) {
  const auto rtc = Make();
  Get(kRegisterC);
  host_.fake_clock.Advance(kSecondNs);
  EXPECT_EQ(Get(kRegisterC), kUpdateFlag);
  EXPECT_EQ(Get(kRegisterC), 0);
}

TEST_F(RtcPorts, NoTimerRunsWhileNoInterruptIsEnabled) {
  const auto rtc = Make();
  EXPECT_EQ(host_.fake_clock.armed(), 0u);
}

TEST_F(RtcPorts, UpdateInterruptComesEverySecond) {
  const auto rtc = Make();
  Get(kRegisterC);
  Put(kRegisterB, k24Hours | kUpdateEnable);
  host_.fake_clock.Advance(kSecondNs);
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(Get(kRegisterC), kInterruptFlag | kUpdateFlag);
  EXPECT_FALSE(irq().level());
  host_.fake_clock.Advance(3 * kSecondNs);
  EXPECT_EQ(irq().rises(), 2u);
}

TEST_F(RtcPorts, AlarmInterruptComesAtItsSecond) {
  const auto rtc = Make();
  Get(kRegisterC);
  Put(kSecondsAlarm, 0x10);
  Put(kMinutesAlarm, 0x35);
  Put(kHoursAlarm, 0x12);
  Put(kRegisterB, k24Hours | kAlarmEnable);
  host_.fake_clock.Advance(13 * kSecondNs);
  EXPECT_FALSE(irq().level());
  host_.fake_clock.Advance(kSecondNs);
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(Get(kRegisterC) & kAlarmFlag, kAlarmFlag);
}

TEST_F(RtcPorts, AlarmThatCannotComeArmsNothing) {
  const auto rtc = Make();
  Put(kHoursAlarm, 0x45);
  Put(kRegisterB, k24Hours | kAlarmEnable);
  EXPECT_EQ(host_.fake_clock.armed(), 0u);
}

TEST_F(RtcPorts, PeriodicInterruptHasTheRateOfRegisterA) {
  const auto rtc = Make();
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  for (unsigned i = 0; i < 1024; i++) {
    host_.fake_clock.Advance(kSecondNs / 1024 + 1);
    EXPECT_EQ(Get(kRegisterC) & kPeriodicFlag, kPeriodicFlag);
  }
  EXPECT_NEAR(irq().rises(), 1024, 1);
}

TEST_F(RtcPorts, CmosTellsTheMemoryAsQemuDoes) {
  const auto rtc = Make({.low_ram_bytes = 0x80000000, .high_ram_bytes = 0x80000000, .cpus = 4});
  EXPECT_EQ(Get(kBaseMemory) | Get(kBaseMemory + 1) << 8, 640);
  EXPECT_EQ(Get(kExtendedMemory) | Get(kExtendedMemory + 1) << 8, 0xffff);
  EXPECT_EQ(Get(kMemoryAbove16MiB) | Get(kMemoryAbove16MiB + 1) << 8, 0x7f00);
  EXPECT_EQ(Get(kMemoryAbove4GiB) | Get(kMemoryAbove4GiB + 1) << 8, 0x8000);
  EXPECT_EQ(Get(kCpusMinusOne), 3);
  rtc->SetBootOrder("cad", true);
  EXPECT_EQ(Get(kBootOrder2), 0x12);
  EXPECT_EQ(Get(kBootOrder1), 0x30);
  rtc->SetBootOrder("n", false);
  EXPECT_EQ(Get(kBootOrder2), 0x04);
  EXPECT_EQ(Get(kBootOrder1), 1);
  EXPECT_EQ(Get(kEquipment), 0x06);
}

TEST_F(RtcPorts, CmosOfASmallMachine) {
  const auto rtc = Make({.low_ram_bytes = 64 << 20});
  EXPECT_EQ(Get(kExtendedMemory) | Get(kExtendedMemory + 1) << 8, 0xfc00);
  EXPECT_EQ(Get(kMemoryAbove16MiB) | Get(kMemoryAbove16MiB + 1) << 8, 0x300);
}

TEST_F(RtcPorts, CmosBytesKeepWhatIsWrittenOverAReset) {
  const auto rtc = Make();
  Put(0x70 & 0x7f, 0xa5);
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  rtc->Reset();
  EXPECT_EQ(Get(0x70), 0xa5);
  EXPECT_EQ(Get(kRegisterB), k24Hours);
  EXPECT_EQ(host_.fake_clock.armed(), 0u);
}

TEST_F(RtcPorts, IndexMasksTheNmiBitAndCannotBeReadBack) {
  const auto rtc = Make();
  Out(host_, 0x70, 0x80 | kRegisterD);
  EXPECT_EQ(In(host_, 0x71), kValidRam);
  EXPECT_EQ(In(host_, 0x70), 0xff);
}

TEST_F(RtcPorts, SavedStateComesBack) {
  const auto rtc = Make();
  Put(kHours, 0x03);
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  Put(0x60, 0x42);
  const auto bytes = Saved(*rtc);
  FakeHost other;
  other.fake_clock.SetRealtimeNs(kStart * kSecondNs);
  const auto copy = Rtc::Create(other, other.isa[8], {}).value();
  ASSERT_TRUE(LoadInto(*copy, bytes));
  EXPECT_EQ(Saved(*copy), bytes);
  copy->Resume();
  Out(other, 0x70, kHours);
  EXPECT_EQ(In(other, 0x71), 0x03);
  other.fake_clock.Advance(kMsNs);
  EXPECT_TRUE(other.isa[8].level());
}

TEST_F(RtcPorts, HostileStateIsRefused) {
  const auto rtc = Make();
  EXPECT_NE(LoadError(*rtc, R"({"index": 128})").find("index is 128"), std::string::npos);
  EXPECT_NE(LoadError(*rtc, R"({"offset-s": 9223372036854775807})"), "");
  EXPECT_NE(LoadError(*rtc, R"({"offset-ns": -1})"), "");
  EXPECT_NE(LoadError(*rtc, R"({"periodic-next-ns": -1})"), "");
  EXPECT_NE(LoadError(*rtc, R"({"cmos": [1, 2]})"), "");
}

TEST(RtcCalendar, AlarmOfEveryFieldDontCareIsTheNextSecond) {
  Cmos cmos = {};
  cmos[kRegisterB] = k24Hours;
  cmos[kSecondsAlarm] = cmos[kMinutesAlarm] = cmos[kHoursAlarm] = 0xff;
  EXPECT_EQ(NextAlarm(1000, cmos), 1001);
}

TEST(RtcCalendar, AlarmOfTheSecondJustPassedIsADayAway) {
  Cmos cmos = {};
  cmos[kRegisterB] = k24Hours | kBinary;
  cmos[kHoursAlarm] = 1;
  EXPECT_EQ(NextAlarm(3600, cmos), 3600 + 86400);
  EXPECT_EQ(NextAlarm(3599, cmos), 3600);
}

TEST(RtcCalendar, NonsenseIsBroughtToAPossibleDate) {
  Cmos cmos;
  cmos.fill(0xff);
  const int64_t time = GetTime(cmos);
  SetTime(time, &cmos);
  EXPECT_EQ(GetTime(cmos), time);
}

TEST_F(RtcPorts, StartsAtADateAndGoesOn) {
  host_.fake_clock.SetRealtimeNs(kStart * kSecondNs + 300 * kMsNs);
  const auto rtc = Make({.start_s = kStart + 86400});
  EXPECT_EQ(Get(kDayOfMonth), 0x01);
  EXPECT_EQ(Get(kSeconds), 0x56);
  host_.fake_clock.Advance(999 * kMsNs);
  EXPECT_EQ(Get(kSeconds), 0x56);
  host_.fake_clock.Advance(kMsNs);
  EXPECT_EQ(Get(kSeconds), 0x57);
}

TEST_F(RtcPorts, VmClockStandsWhereTheHostsLeaps) {
  host_.fake_clock.SetRealtimeNs(kStart * kSecondNs + 300 * kMsNs);
  const auto rtc = Make({.follows = Rtc::Follows::kVm, .offset_s = 3600});
  host_.fake_clock.SetRealtimeNs((kStart + 1000) * kSecondNs);  // somebody set the host's clock
  EXPECT_EQ(Get(kHours), 0x13);
  EXPECT_EQ(Get(kSeconds), 0x56);
  host_.fake_clock.Advance(700 * kMsNs);
  EXPECT_EQ(Get(kSeconds), 0x57);
}

TEST_F(RtcPorts, MonotonicClockStandsWhereTheHostsLeaps) {
  const auto rtc = Make({.follows = Rtc::Follows::kMonotonic});
  host_.fake_clock.SetRealtimeNs((kStart + 86400) * kSecondNs);
  EXPECT_EQ(Get(kDayOfMonth), 0x29);
}

TEST_F(RtcPorts, SlewGivesMissedInterruptsBack) {
  const auto rtc = Make({.lost_ticks = Rtc::LostTicks::kSlew});
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  for (int i = 0; i < 4; ++i) {
    host_.fake_clock.Advance(kSecondNs / 1024);  // four periods in which the guest does not look
  }
  EXPECT_EQ(Get(kRegisterC) & kPeriodicFlag, kPeriodicFlag);
  for (int missed = 0; missed < 3; ++missed) {
    EXPECT_TRUE(irq().level());
    EXPECT_EQ(Get(kRegisterC) & kPeriodicFlag, kPeriodicFlag);
  }
  EXPECT_FALSE(irq().level());
  EXPECT_EQ(Get(kRegisterC), 0);
}

TEST_F(RtcPorts, WithoutSlewMissedInterruptsAreCounted) {
  const auto rtc = Make();
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  for (int i = 0; i < 4; ++i) {
    host_.fake_clock.Advance(kSecondNs / 1024);
  }
  EXPECT_EQ(Get(kRegisterC) & kPeriodicFlag, kPeriodicFlag);
  EXPECT_EQ(Get(kRegisterC), 0);
  EXPECT_EQ(rtc->counters().lost_periodic.value(), 3U);
}

TEST_F(RtcPorts, SlewDoesNotDrownAGuestThatReadsInALoop) {
  const auto rtc = Make({.lost_ticks = Rtc::LostTicks::kSlew});
  Put(kRegisterB, k24Hours | kPeriodicEnable);
  for (int i = 0; i < 100; ++i) {
    host_.fake_clock.Advance(kSecondNs / 1024);
  }
  int reads = 0;
  while (Get(kRegisterC) != 0) {
    ASSERT_LT(++reads, 50);
  }
  EXPECT_EQ(reads, 21);
}

}  // namespace
}  // namespace nandu
