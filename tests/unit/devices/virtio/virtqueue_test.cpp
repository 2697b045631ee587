// The virtqueue against a driver that plays by the rules, split and packed. Drivers that do not:
// virtqueue_malformed_test.cpp.
#include "devices/virtio/virtqueue.h"

#include <gtest/gtest.h>
#include <string>

#include "support/fake_driver.h"

namespace nandu {
namespace {

std::string Text(std::span<const iovec> vecs) {
  std::string text;
  for (const iovec& vec : vecs) {
    text.append(static_cast<const char*>(vec.iov_base), vec.iov_len);
  }
  return text;
}

class VirtqueueTest : public testing::TestWithParam<bool> {
 protected:
  DriverRing::Options Options(uint16_t size = 8) const { return {.size = size, .packed = GetParam()}; }
  DriverRing::Options WithEvents(uint16_t size = 8) const {
    return {.size = size, .packed = GetParam(), .event_index = true};
  }
};
INSTANTIATE_TEST_SUITE_P(Formats, VirtqueueTest, testing::Values(false, true),
                         [](const auto& format) { return std::string(format.param ? "Packed" : "Split"); });

TEST_P(VirtqueueTest, EmptyRingPopsNothing) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_FALSE(queue.Pop().has_value());
  EXPECT_FALSE(queue.broken());
}

TEST_P(VirtqueueTest, ChainArrivesAndIsUsed) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  const SentChain sent = driver.Chain().Readable("abc").Readable("def").Writable(4).Send();

  ASSERT_TRUE(queue.HasAvailable());
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  EXPECT_EQ(Text(chain->readable()), "abcdef");
  EXPECT_EQ(chain->writable_bytes(), 4U);
  EXPECT_TRUE(chain->Write(1, "xy", 2));
  queue.Complete(std::move(*chain), 3);

  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 3}));
  EXPECT_EQ(driver.BytesOf(sent), std::string("\0xy\0", 4));
  EXPECT_EQ(driver.notifications(), 1U);
  EXPECT_EQ(driver.counters().completed.value(), 1U);
}

TEST_P(VirtqueueTest, IndirectChainArrives) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  const SentChain sent = driver.Chain().Readable("abc").Writable(4).Writable(5).Indirect().Send();
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  EXPECT_EQ(Text(chain->readable()), "abc");
  EXPECT_EQ(chain->writable().size(), 2U);
  queue.Complete(std::move(*chain), 9);
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 9}));
}

TEST_P(VirtqueueTest, HeaderIsCopiedAcrossDescriptors) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  driver.Chain().Readable("abc").Readable("def").Send();
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  char header[4] = {};
  EXPECT_TRUE(chain->ReadHeader(header, 4));
  EXPECT_EQ(std::string(header, 4), "abcd");
  EXPECT_EQ(Text(chain->readable()), "ef");
  EXPECT_FALSE(chain->ReadHeader(header, 3));
  EXPECT_EQ(chain->readable_bytes(), 2U);
  queue.Complete(std::move(*chain), 0);
}

TEST_P(VirtqueueTest, TrailerIsTakenFromTheEnd) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  const SentChain sent = driver.Chain().Writable(2).Writable(2).Send();
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  *chain->TakeLastByte() = std::byte{'z'};
  const auto trailer = chain->TakeTrailer(2);
  ASSERT_TRUE(trailer.has_value());
  EXPECT_EQ(trailer->size(), 2U);
  *static_cast<char*>((*trailer)[0].iov_base) = 'x';
  *static_cast<char*>((*trailer)[1].iov_base) = 'y';
  EXPECT_EQ(chain->writable_bytes(), 1U);
  EXPECT_FALSE(chain->TakeTrailer(2).has_value());
  queue.Complete(std::move(*chain), 0);
  EXPECT_EQ(driver.BytesOf(sent), std::string("\0xyz", 4));
}

TEST_P(VirtqueueTest, RingWrapsAroundManyTimesInAnyOrder) {
  FakeDriver driver(Options(5 - (GetParam() ? 0 : 1)));
  Virtqueue queue = driver.TakeQueue();
  for (int lap = 0; lap < 50; ++lap) {
    const SentChain first = driver.Chain().Readable("a").Writable(1).Send();
    const SentChain second = driver.Chain().Writable(1).Send();
    std::optional<DescChain> one = queue.Pop();
    std::optional<DescChain> two = queue.Pop();
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_FALSE(queue.Pop().has_value());
    queue.Complete(std::move(*two), 1);
    queue.Complete(std::move(*one), 1);
    EXPECT_EQ(driver.NextUsed(), (Used{second.id, 1}));
    EXPECT_EQ(driver.NextUsed(), (Used{first.id, 1}));
    EXPECT_EQ(driver.NextUsed(), std::nullopt);
  }
}

TEST_P(VirtqueueTest, BatchBecomesVisibleAtOnceAndNotifiesOnce) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  driver.Chain().Writable(1).Send();
  driver.Chain().Writable(1).Send();
  std::optional<DescChain> one = queue.Pop();
  std::optional<DescChain> two = queue.Pop();
  ASSERT_TRUE(one.has_value() && two.has_value());
  queue.CompleteBatch(std::move(*one), 1);
  queue.CompleteBatch(std::move(*two), 1);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  queue.Flush();
  EXPECT_TRUE(driver.NextUsed().has_value());
  EXPECT_TRUE(driver.NextUsed().has_value());
  EXPECT_EQ(driver.notifications(), 1U);
}

TEST_P(VirtqueueTest, UnpoppedChainComesAgain) {
  FakeDriver driver(Options(4));
  Virtqueue queue = driver.TakeQueue();
  for (int lap = 0; lap < 5; ++lap) {  // across the end of the ring as well
    const SentChain sent = driver.Chain().Readable("abc").Writable(1).Writable(1).Send();
    std::optional<DescChain> chain = queue.Pop();
    ASSERT_TRUE(chain.has_value());
    queue.Unpop(std::move(*chain));
    std::optional<DescChain> again = queue.Pop();
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(Text(again->readable()), "abc");
    queue.Complete(std::move(*again), 2);
    EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 2}));
  }
}

TEST_P(VirtqueueTest, ParkedChainSurvivesAMoveAndLaterCompletions) {
  FakeDriver driver(Options());
  ParkedChain parked;
  QueuePosition position;
  const SentChain sent = driver.Chain().Readable("abc").Writable(1).Send();
  const SentChain later = driver.Chain().Readable("xyz").Writable(1).Indirect().Send();
  {
    Virtqueue queue = driver.TakeQueue();
    std::optional<DescChain> chain = queue.Pop();
    std::optional<DescChain> other = queue.Pop();
    ASSERT_TRUE(chain.has_value() && other.has_value());
    parked = queue.Park(std::move(*chain));
    queue.Complete(std::move(*other), 1);  // packed: written over the parked chain's descriptors
    position = queue.position();
  }
  Virtqueue queue = driver.TakeQueue(position);
  std::optional<DescChain> chain = queue.Unpark(parked);
  ASSERT_TRUE(chain.has_value());
  EXPECT_EQ(Text(chain->readable()), "abc");
  queue.Complete(std::move(*chain), 1);
  EXPECT_EQ(driver.NextUsed(), (Used{later.id, 1}));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
}

TEST_P(VirtqueueTest, NoInterruptIsRaisedWhereTheDriverWantsNone) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  driver.ring().WantInterrupts(false);
  for (int i = 0; i < 2; ++i) {
    driver.Chain().Writable(1).Send();
    std::optional<DescChain> chain = queue.Pop();
    ASSERT_TRUE(chain.has_value());
    queue.Complete(std::move(*chain), 1);
  }
  EXPECT_EQ(driver.notifications(), 1U);  // the first one: nothing was known of the past
  EXPECT_EQ(driver.counters().suppressed_interrupts.value(), 1U);
}

TEST_P(VirtqueueTest, EventIndexNamesTheCompletionThatInterrupts) {
  FakeDriver driver(WithEvents(4));
  Virtqueue queue = driver.TakeQueue();
  const auto serve = [&] {
    driver.Chain().Writable(1).Send();
    std::optional<DescChain> chain = queue.Pop();
    queue.Complete(std::move(*chain), 1);
    driver.NextUsed();
  };
  serve();
  for (int lap = 0; lap < 20; ++lap) {
    const unsigned before = driver.notifications();
    driver.ring().WantInterruptAfter(2);
    serve();
    serve();
    EXPECT_EQ(driver.notifications(), before) << "lap " << lap;
    serve();
    EXPECT_EQ(driver.notifications(), before + 1) << "lap " << lap;
  }
}

TEST_P(VirtqueueTest, KicksAreAskedForAndSuppressed) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  queue.DisableKicks();
  driver.Chain().Writable(1).Send();
  EXPECT_FALSE(driver.ring().KickWanted());
  EXPECT_TRUE(queue.EnableKicks());  // something came meanwhile
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  queue.Complete(std::move(*chain), 1);
  EXPECT_FALSE(queue.EnableKicks());
  driver.Chain().Writable(1).Send();
  EXPECT_TRUE(driver.ring().KickWanted());
}

TEST_P(VirtqueueTest, EventIndexAsksForTheKickAfterTheLastOneSeen) {
  FakeDriver driver(WithEvents(4));
  Virtqueue queue = driver.TakeQueue();
  for (int lap = 0; lap < 10; ++lap) {
    EXPECT_FALSE(queue.EnableKicks());
    driver.Chain().Writable(1).Send();
    EXPECT_TRUE(driver.ring().KickWanted()) << "lap " << lap;
    driver.Chain().Writable(1).Send();
    EXPECT_FALSE(driver.ring().KickWanted()) << "lap " << lap;
    while (std::optional<DescChain> chain = queue.Pop()) {
      queue.Complete(std::move(*chain), 1);
      driver.NextUsed();
    }
  }
}

TEST_P(VirtqueueTest, DisabledDmaStopsPopsButNotCompletions) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  const SentChain sent = driver.Chain().Writable(1).Send();
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  driver.Chain().Writable(1).Send();
  driver.guest().dma().SetEnabled(false);
  EXPECT_FALSE(queue.Pop().has_value());
  queue.Complete(std::move(*chain), 1);
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
  EXPECT_FALSE(queue.broken());
  driver.guest().dma().SetEnabled(true);
  std::optional<DescChain> next = queue.Pop();
  ASSERT_TRUE(next.has_value());
  queue.Complete(std::move(*next), 1);
}

TEST_P(VirtqueueTest, MemoryTakenAwayStaysMappedForAChainInFlight) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  driver.Chain().Writable(4).Send();
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  driver.guest().dma().SetMemory(TestMemory(0x1000, uint64_t{1} << 40));
  EXPECT_TRUE(chain->Write(0, "abcd", 4));
  queue.Complete(std::move(*chain), 4);  // its ring is gone: broken, and nothing is written
  EXPECT_TRUE(queue.broken());
  EXPECT_EQ(driver.counters().faults[static_cast<size_t>(RingFault::kNotMapped)].value(), 1U);
}

TEST_P(VirtqueueTest, NotifyAlwaysInterruptsWhateverTheRingSays) {
  FakeDriver driver(Options());
  Virtqueue queue = driver.TakeQueue();
  driver.ring().WantInterrupts(false);
  queue.NotifyAlways();
  EXPECT_EQ(driver.notifications(), 1U);
}

TEST(Virtqueue, DirectDescriptorsMayPrecedeASplitIndirectTable) {
  FakeDriver driver({.size = 8});
  Virtqueue queue = driver.TakeQueue();
  const uint64_t text = driver.guest().Put("def");
  const uint64_t table = driver.guest().Allocate(16);
  driver.guest().Store<uint64_t>(table, text);
  driver.guest().Store<uint64_t>(table + 8, 3);
  driver.ring().SendRaw({{driver.guest().Put("abc"), 3, kDescNext}, {table, 16, kDescIndirect | kDescWrite}},
                        0);
  std::optional<DescChain> chain = queue.Pop();
  ASSERT_TRUE(chain.has_value());
  EXPECT_EQ(Text(chain->readable()), "abcdef");
  queue.Complete(std::move(*chain), 0);
}

TEST(Virtqueue, LegacyDriverHearsOfAnEmptyRing) {
  FakeDriver driver({.size = 8});
  QueueCounters counters;
  FakeNotifier notifier;
  Virtqueue queue(0, driver.guest().dma(), driver.ring().config(), {.notify_on_empty = true}, {}, notifier,
                  counters);
  driver.ring().WantInterrupts(false);
  driver.Chain().Writable(1).Send();
  std::optional<DescChain> first = queue.Pop();
  queue.Complete(std::move(*first), 1);
  const unsigned before = notifier.notifications();
  driver.Chain().Writable(1).Send();
  std::optional<DescChain> second = queue.Pop();
  queue.Complete(std::move(*second), 1);
  EXPECT_EQ(notifier.notifications(), before + 1);
}

}  // namespace
}  // namespace nandu
