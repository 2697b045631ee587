// A balloon's data half over a fake driver.
#include "devices/virtio/balloon/balloon_queues.h"

#include <algorithm>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_clock.h"
#include "support/fake_control_loop.h"
#include "support/fake_driver.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using balloon::kPageBytes;
using testing::Each;

constexpr int64_t kSecond = 1'000'000'000;

std::string Words(const std::vector<uint32_t>& pages) {
  return {reinterpret_cast<const char*>(pages.data()), pages.size() * sizeof(uint32_t)};
}

std::string Entries(const std::vector<balloon::Stat>& entries) {
  return {reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(balloon::Stat)};
}

// The upper half of the guest's memory is what it gives away; the rings lie below.
struct BalloonQueuesTest : testing::Test {
  static constexpr uint64_t kMemory = uint64_t{128} << 20;
  static constexpr uint64_t kGiven = kMemory / 2;
  static constexpr uint32_t kGivenPage = kGiven / kPageBytes;

  void Start(unsigned index, uint64_t features = 0, const QueuePosition& position = {},
             std::vector<ParkedChain> parked = {}) {
    ActivateArgs args;
    args.dma = &driver.guest().dma();
    args.features = features;
    args.queues.push_back({index, driver.TakeQueue(position), driver.doorbell()});
    queues->Activate(std::move(args), {{index, std::move(parked)}});
  }
  void TearDown() override {
    queues->Quiesce();
    loop.RunUntilIdle();
  }
  void Fill(uint64_t pages) {
    std::memset(driver.guest().Host(kGiven, pages * kPageBytes), 7, pages * kPageBytes);
  }
  bool Gone(uint64_t page) { return *driver.guest().Host(kGiven + page * kPageBytes, 1) == std::byte{0}; }
  void Kick() {
    driver.Kick();
    loop.RunUntilIdle();
  }

  FakeDriver driver{DriverRing::Options{.size = 8}, kMemory};
  ManualLoop loop;
  FakeControlLoop control_loop;
  FakeClock clock;
  std::shared_ptr<BalloonControl> control = std::make_shared<BalloonControl>(control_loop, clock, [] {});
  std::shared_ptr<BalloonQueues> queues = std::make_shared<BalloonQueues>(loop, control);
  std::unique_ptr<Timer> timer = clock.CreateTimer([this] { queues->PollStats(); });
  const BalloonCounters& counters = queues->counters();
};

// ---- inflation, deflation ----
TEST_F(BalloonQueuesTest, InflatedPagesGo) {
  Fill(4);
  Start(balloon::kInflateQueue);
  const SentChain sent = driver.Chain().Readable(Words({kGivenPage, kGivenPage + 2})).Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_TRUE(Gone(0) && !Gone(1) && Gone(2) && !Gone(3));
  EXPECT_EQ(counters.inflations.value(), 1U);
  EXPECT_EQ(counters.given_back_bytes.value(), 2 * kPageBytes);
}

TEST_F(BalloonQueuesTest, APageNumberMayLieInTwoBuffers) {
  Fill(1);
  Start(balloon::kInflateQueue);
  const std::string number = Words({kGivenPage});
  driver.Chain().Readable(number.substr(0, 3)).Readable(number.substr(3)).Send();
  Kick();
  EXPECT_TRUE(Gone(0));
}

TEST_F(BalloonQueuesTest, OddRequestsAreCountedAndCompleted) {
  Fill(2);
  Start(balloon::kInflateQueue);
  const SentChain writable = driver.Chain().Writable(64).Send();
  const SentChain tail = driver.Chain().Readable(Words({kGivenPage}) + "xyz").Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{writable.id, 0}));
  EXPECT_EQ(driver.NextUsed(), (Used{tail.id, 0}));
  EXPECT_TRUE(Gone(0) && !Gone(1));
  EXPECT_EQ(counters.odd_requests.value(), 2U);
}

TEST_F(BalloonQueuesTest, DeflationTouchesNothing) {
  Fill(1);
  Start(balloon::kDeflateQueue);
  const SentChain sent = driver.Chain().Readable(Words({kGivenPage, 0xffffffff})).Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_FALSE(Gone(0));
  EXPECT_EQ(counters.deflations.value(), 1U);
}

// As many page numbers as memory holds, over and over: one buffer named by every descriptor.
TEST_F(BalloonQueuesTest, AHugeRequestIsServedInTurns) {
  Start(balloon::kInflateQueue);
  std::vector<uint32_t> scattered(4096);
  std::ranges::generate(scattered, [page = kGivenPage]() mutable { return page += 2; });
  const uint64_t at = driver.guest().Put(Words(scattered));
  auto request = driver.Chain();
  for (int i = 0; i < 8; ++i) {
    request.At(at, 4096 * sizeof(uint32_t), 0);
  }
  const SentChain sent = request.Send();
  queues->Serve(balloon::kInflateQueue);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  const uint64_t first_turn = counters.given_back_bytes.value();
  EXPECT_GT(first_turn, 0U);
  EXPECT_LE(first_turn, 1024 * kPageBytes);
  loop.RunUntilIdle();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(counters.given_back_bytes.value(), 8 * 4096 * kPageBytes);
  EXPECT_GE(counters.paused_requests.value(), 32U);
}

TEST_F(BalloonQueuesTest, WhatIsHalfDoneIsBegunAgainAfterAPause) {
  Start(balloon::kInflateQueue);
  std::vector<uint32_t> scattered(4096);
  std::ranges::generate(scattered, [page = kGivenPage]() mutable { return page += 2; });
  const SentChain sent = driver.Chain().Readable(Words(scattered)).Send();
  queues->Serve(balloon::kInflateQueue);
  std::vector<QueueAtRest> rest = queues->Quiesce();
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_TRUE(rest[0].parked.empty());
  const QueuePosition position = rest[0].queue.position();
  EXPECT_EQ(position, QueuePosition{});
  rest.clear();
  Start(balloon::kInflateQueue, 0, position);
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(counters.inflations.value(), 1U);
}

TEST_F(BalloonQueuesTest, AFloodedQueueLeavesTheLoopToOthers) {
  FakeDriver flood{DriverRing::Options{.size = 256}};
  ActivateArgs args;
  args.dma = &flood.guest().dma();
  args.queues.push_back({balloon::kDeflateQueue, flood.TakeQueue(), flood.doorbell()});
  queues->Activate(std::move(args), {});
  for (unsigned i = 0; i < 256; ++i) {
    flood.Chain().Readable("page").Send();
  }
  queues->Serve(balloon::kDeflateQueue);
  EXPECT_LE(counters.deflations.value(), 128U);
  loop.RunUntilIdle();
  EXPECT_EQ(counters.deflations.value(), 256U);
  queues->Quiesce();
}

TEST_F(BalloonQueuesTest, ParkedChainsOfOtherQueuesAreCompleted) {
  const SentChain sent = driver.Chain().Readable("page").Send();
  Start(balloon::kInflateQueue, 0, {.next_avail = 1}, {{sent.id, {}}});
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(counters.stray_requests.value(), 1U);
}

// ---- reports ----
TEST_F(BalloonQueuesTest, ReportedRangesGo) {
  Fill(8);
  Start(balloon::kReportingQueue);
  const SentChain sent = driver.Chain()
                             .At(kGiven, kPageBytes, kDescWrite)
                             .At(kGiven + 4 * kPageBytes, 3 * kPageBytes, kDescWrite)
                             .Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_TRUE(Gone(0) && !Gone(1) && Gone(4) && Gone(6) && !Gone(7));
  EXPECT_EQ(counters.reports.value(), 1U);
  EXPECT_EQ(counters.given_back_bytes.value(), 4 * kPageBytes);
}

TEST_F(BalloonQueuesTest, ALargeReportIsServedInTurns) {
  Start(balloon::kReportingQueue);
  const SentChain sent = driver.Chain().At(kGiven, kMemory / 2, kDescWrite).Send();
  queues->Serve(balloon::kReportingQueue);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  EXPECT_LE(counters.given_back_bytes.value(), uint64_t{48} << 20);
  loop.RunUntilIdle();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(counters.given_back_bytes.value(), kMemory / 2);
}

TEST_F(BalloonQueuesTest, PoisonedPagesStay) {
  const uint32_t poison = 0xaa;
  Fill(1);
  control->FeaturesAccepted(balloon::kFeaturePagePoison);
  control->WriteConfig(12, std::as_bytes(std::span(&poison, 1)));
  Start(balloon::kReportingQueue, balloon::kFeaturePagePoison);
  const SentChain sent = driver.Chain().At(kGiven, kPageBytes, kDescWrite).Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_FALSE(Gone(0));
  EXPECT_EQ(counters.poisoned_reports.value(), 1U);
}

TEST_F(BalloonQueuesTest, PagesPoisonedWithZeroesGo) {
  Fill(1);
  control->FeaturesAccepted(balloon::kFeaturePagePoison);
  Start(balloon::kReportingQueue, balloon::kFeaturePagePoison);
  driver.Chain().At(kGiven, kPageBytes, kDescWrite).Send();
  Kick();
  EXPECT_TRUE(Gone(0));
}

TEST_F(BalloonQueuesTest, AReportThatNamesNothingIsCompleted) {
  Start(balloon::kReportingQueue);
  const SentChain sent = driver.Chain().Readable("nothing to write to").Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(counters.odd_requests.value(), 1U);
}

// ---- statistics ----
struct BalloonStatsTest : BalloonQueuesTest {
  void Poll(uint32_t interval_s) {
    control->SetStatsTimer(timer.get());
    control->SetStatsInterval(interval_s);
  }
  SentChain SendStats(uint64_t free_bytes) {
    const SentChain sent = driver.Chain().Readable(Entries({{4, free_bytes}})).Send();
    Kick();
    return sent;
  }
  uint64_t FreeBytes() const { return control->Stats().values[4]; }
};

TEST_F(BalloonStatsTest, EntriesAreTakenInAnyOrderAndUnknownOnesIgnored) {
  clock.SetRealtimeNs(1'700'000'000 * kSecond);
  Start(balloon::kStatsQueue);
  EXPECT_THAT(control->Stats().values, Each(BalloonStats::kUnknown));
  driver.Chain().Readable(Entries({{5, 512}, {99, 1}, {0, 3}, {9, 4}})).Send();
  Kick();
  const BalloonStats stats = control->Stats();
  EXPECT_EQ(stats.values[5], 512U);
  EXPECT_EQ(stats.values[0], 3U);
  EXPECT_EQ(stats.values[9], 4U);
  EXPECT_EQ(stats.values[1], BalloonStats::kUnknown);
  EXPECT_EQ(stats.last_update_s, 1'700'000'000);
  EXPECT_EQ(counters.unknown_stats.value(), 1U);
}

TEST_F(BalloonStatsTest, TheGuestIsAskedAgainAfterEachInterval) {
  Poll(2);
  Start(balloon::kStatsQueue);
  const SentChain first = SendStats(100);
  clock.Advance(2 * kSecond - 1);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  clock.Advance(1);
  EXPECT_EQ(driver.NextUsed(), (Used{first.id, 0}));
  const SentChain second = SendStats(200);
  EXPECT_EQ(FreeBytes(), 200U);
  clock.Advance(2 * kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{second.id, 0}));
}

TEST_F(BalloonStatsTest, AGuestThatDoesNotAnswerIsNotAskedTwice) {
  Poll(1);
  Start(balloon::kStatsQueue);
  const SentChain first = SendStats(100);
  clock.Advance(5 * kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{first.id, 0}));
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  const SentChain second = SendStats(200);
  clock.Advance(kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{second.id, 0}));
}

TEST_F(BalloonStatsTest, WithoutAnIntervalTheBufferIsKept) {
  Poll(1);
  Start(balloon::kStatsQueue);
  const SentChain sent = SendStats(100);
  control->SetStatsInterval(0);
  clock.Advance(10 * kSecond);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  EXPECT_EQ(clock.armed(), 0U);
  control->SetStatsInterval(3);
  clock.Advance(3 * kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
}

TEST_F(BalloonStatsTest, TheKeptBufferIsParkedOverAPause) {
  Poll(1);
  Start(balloon::kStatsQueue);
  const SentChain sent = SendStats(100);
  std::vector<QueueAtRest> rest = queues->Quiesce();
  ASSERT_EQ(rest.size(), 1U);
  ASSERT_EQ(rest[0].parked, (std::vector<ParkedChain>{{sent.id, {}}}));
  const QueuePosition position = rest[0].queue.position();
  rest.clear();
  clock.Advance(5 * kSecond);
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  Start(balloon::kStatsQueue, 0, position, {{sent.id, {}}});
  clock.Advance(kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
}

TEST_F(BalloonStatsTest, OfSeveralBuffersTheLastIsKept) {
  Poll(1);
  Start(balloon::kStatsQueue);
  const SentChain first = driver.Chain().Readable(Entries({{4, 1}})).Send();
  const SentChain second = driver.Chain().Readable(Entries({{4, 2}})).Send();
  Kick();
  EXPECT_EQ(driver.NextUsed(), (Used{first.id, 0}));
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  EXPECT_EQ(FreeBytes(), 2U);
  EXPECT_EQ(counters.extra_stats.value(), 1U);
  clock.Advance(kSecond);
  EXPECT_EQ(driver.NextUsed(), (Used{second.id, 0}));
}

TEST_F(BalloonStatsTest, LongAndTornBuffersAreReadAsFarAsTheyGo) {
  Start(balloon::kStatsQueue);
  driver.Chain().Readable(Entries({{4, 1}}) + "xyz").Send();
  driver.Chain().Readable(Entries(std::vector<balloon::Stat>(1000, {4, 2}))).Send();
  driver.Chain().Writable(100).Send();
  Kick();
  EXPECT_EQ(counters.stats.value(), 3U);
  EXPECT_EQ(counters.odd_stats.value(), 2U);
  EXPECT_THAT(control->Stats().values, Each(BalloonStats::kUnknown));
}

TEST_F(BalloonStatsTest, ABufferThatCannotBeReturnedNowStaysHeld) {
  Poll(1);
  Start(balloon::kStatsQueue);
  const SentChain sent = SendStats(100);
  driver.guest().dma().SetEnabled(false);
  clock.Advance(kSecond);
  std::vector<QueueAtRest> rest = queues->Quiesce();
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].parked, (std::vector<ParkedChain>{{sent.id, {}}}));
  driver.guest().dma().SetEnabled(true);
}

}  // namespace
}  // namespace nandu
