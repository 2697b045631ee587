// What a hostile driver can do to a ring: each way breaks the queue, is counted by its reason, and nothing
// else happens.
#include <gtest/gtest.h>
#include <string>
#include <tuple>

#include "devices/virtio/virtqueue.h"
#include "support/fake_driver.h"

namespace nandu {
namespace {

RingFault FaultOf(Malformed what) {
  switch (what) {
    case Malformed::kAvailableJump: return RingFault::kAvailableIndex;
    case Malformed::kHeadRange: return RingFault::kHeadRange;
    case Malformed::kNextRange:
    case Malformed::kIndirectNextRange: return RingFault::kNextRange;
    case Malformed::kLoop:
    case Malformed::kIndirectLoop: return RingFault::kLoop;
    case Malformed::kZeroLength: return RingFault::kZeroLength;
    case Malformed::kOutsideMemory:
    case Malformed::kWrapsAround:
    case Malformed::kHugeLength: return RingFault::kBufferRange;
    case Malformed::kWriteBeforeRead: return RingFault::kWriteBeforeRead;
    case Malformed::kIndirectNested: return RingFault::kIndirectNested;
    case Malformed::kIndirectEmpty:
    case Malformed::kIndirectOddSize: return RingFault::kIndirectSize;
    case Malformed::kIndirectOutside: return RingFault::kIndirectRange;
    case Malformed::kIndirectAndNext: return RingFault::kIndirectNext;
    case Malformed::kIndirectTooLong: return RingFault::kTooLong;
  }
  return RingFault::kNone;
}

class MalformedTest : public testing::TestWithParam<std::tuple<bool, Malformed>> {};
INSTANTIATE_TEST_SUITE_P(Split, MalformedTest,
                         testing::Combine(testing::Values(false), testing::ValuesIn(AllMalformed(false))));
INSTANTIATE_TEST_SUITE_P(Packed, MalformedTest,
                         testing::Combine(testing::Values(true), testing::ValuesIn(AllMalformed(true))));

TEST_P(MalformedTest, BreaksTheQueueAndIsCounted) {
  const auto [packed, what] = GetParam();
  FakeDriver driver({.size = 8, .packed = packed});
  Virtqueue queue = driver.TakeQueue();
  driver.ring().SendMalformed(what);

  EXPECT_TRUE(queue.HasAvailable());
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_TRUE(queue.broken());
  EXPECT_EQ(driver.counters().malformed.value(), 1U);
  EXPECT_EQ(driver.counters().faults[static_cast<size_t>(FaultOf(what))].value(), 1U);
  EXPECT_EQ(driver.why_broken(), RingFaultText(FaultOf(what)));
  EXPECT_EQ(queue.held(), 0U);
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
}

TEST_P(MalformedTest, ChainsInFlightEndWithoutTouchingTheBrokenRing) {
  const auto [packed, what] = GetParam();
  FakeDriver driver({.size = 16, .packed = packed});
  Virtqueue queue = driver.TakeQueue();
  driver.Chain().Writable(1).Send();
  std::optional<DescChain> good = queue.Pop();
  ASSERT_TRUE(good.has_value());
  driver.ring().SendMalformed(what);
  EXPECT_FALSE(queue.Pop().has_value());
  queue.Complete(std::move(*good), 1);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  EXPECT_EQ(driver.notifications(), 0U);
}

class BadRingTest : public testing::TestWithParam<bool> {
 protected:
  RingFault FaultOf(const QueueConfig& config) const {
    FakeGuest guest;
    FakeNotifier notifier;
    QueueCounters counters;
    Virtqueue queue(0, guest.dma(), config, {.packed = GetParam()}, {}, notifier, counters);
    EXPECT_FALSE(queue.Pop().has_value());
    for (size_t i = 0; i < kRingFaultCount; ++i) {
      if (counters.faults[i].value() != 0) {
        return static_cast<RingFault>(i);
      }
    }
    return RingFault::kNone;
  }
};
INSTANTIATE_TEST_SUITE_P(Formats, BadRingTest, testing::Bool());

TEST_P(BadRingTest, SizesAndAlignmentsAreChecked) {
  EXPECT_EQ(FaultOf({8, 0x1000, 0x2000, 0x3000}), RingFault::kNone);
  EXPECT_EQ(FaultOf({0, 0x1000, 0x2000, 0x3000}), RingFault::kBadSize);
  EXPECT_EQ(FaultOf({0xffff, 0x1000, 0x2000, 0x3000}), RingFault::kBadSize);
  EXPECT_EQ(FaultOf({8, 0x1008, 0x2000, 0x3000}), RingFault::kMisaligned);
  EXPECT_EQ(FaultOf({8, 0x1000, 0x2001, 0x3000}), RingFault::kMisaligned);
  EXPECT_EQ(FaultOf({8, 0x1000, 0x2000, 0x3002}), RingFault::kMisaligned);
}

TEST_P(BadRingTest, AreasOutsideMemoryAreRefused) {
  const uint64_t end = uint64_t{16} << 20;
  EXPECT_EQ(FaultOf({8, end - 0x40, 0x2000, 0x3000}), RingFault::kNotMapped);
  EXPECT_EQ(FaultOf({8, 0x1000, end, 0x3000}), RingFault::kNotMapped);
  EXPECT_EQ(FaultOf({8, 0x1000, 0x2000, ~uint64_t{15}}), RingFault::kNotMapped);
}

TEST(BadRing, SplitSizeIsAPowerOfTwo) {
  FakeGuest guest;
  FakeNotifier notifier;
  QueueCounters counters;
  Virtqueue queue(0, guest.dma(), {7, 0x1000, 0x2000, 0x3000}, {}, {}, notifier, counters);
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_EQ(counters.faults[static_cast<size_t>(RingFault::kBadSize)].value(), 1U);
}

TEST(BadRing, IndirectWithoutTheFeatureIsRefused) {
  FakeDriver driver({.size = 8, .indirect = false});
  Virtqueue queue = driver.TakeQueue();
  driver.Chain().Readable("abc").Indirect().Send();
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_EQ(driver.counters().faults[static_cast<size_t>(RingFault::kIndirectRefused)].value(), 1U);
}

TEST(BadRing, ReadOnlyMemoryIsNotWritable) {
  FakeDriver driver({.size = 8});
  Virtqueue queue = driver.TakeQueue();
  std::vector<RamRange> ranges = driver.guest().memory()->ranges();
  ranges.push_back({uint64_t{1} << 32, 0x1000, TestRam(0x1000, "rom"), 0, true});
  driver.guest().dma().SetMemory(std::make_shared<const GuestMemory>(ranges));
  driver.Chain().At(uint64_t{1} << 32, 16, kDescWrite).Send();
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_EQ(driver.counters().faults[static_cast<size_t>(RingFault::kBufferRange)].value(), 1U);
}

TEST(BadRing, HostileParkedChainsAreRefused) {
  const ParkedChain hostile[] = {
      {3, {}},                                                       // packed: no descriptors
      {3, std::vector<RingDescriptor>(9, {0x1000, 16, kDescNext})},  // more than the ring holds
      {3, {{0x1000, 16, kDescNext}}},                                // ends in the middle
      {3, {{0x1000, 16, 0}, {0x1000, 16, 0}}},                       // goes on after its end
      {3, {{~uint64_t{0}, 16, 0}}},
  };
  for (const ParkedChain& parked : hostile) {
    FakeDriver driver({.size = 8, .packed = true});
    Virtqueue queue = driver.TakeQueue();
    EXPECT_FALSE(queue.Unpark(parked).has_value());
    EXPECT_TRUE(queue.broken());
  }
  FakeDriver split({.size = 8});
  Virtqueue queue = split.TakeQueue();
  EXPECT_FALSE(queue.Unpark({8, {}}).has_value());
  EXPECT_TRUE(queue.broken());
}

}  // namespace
}  // namespace nandu
