// The data half of virtio-blk over a fake driver and a disk in memory. virtio 1.2, section 5.2.6.
#include "devices/virtio/blk/blk_queue.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "support/fake_driver.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;
using Served = MemoryBlockNode::Served;

constexpr char kOk = 0;
constexpr char kIoError = 1;
constexpr char kUnsupported = 2;
constexpr uint64_t kDiskBytes = 64 * 1024;
constexpr uint16_t kRingSize = 64;

template <class Node>
struct BlkQueueFixture : testing::Test {
  BlkQueueFixture() {
    shared->node_name = "disk0";
    shared->size_bytes = kDiskBytes;
    shared->max_discard_sectors = shared->max_write_zeroes_sectors = 64;
    std::memcpy(shared->serial.data(), "SN-42", 5);
    queue = std::make_unique<BlkQueue>(loop, node.OpenChannel(loop).value(), shared, kRingSize);
    Start({}, {});
  }
  void TearDown() override {
    queue->Stop([](std::optional<QueueAtRest>) {});
    loop.RunUntilIdle();
    queue.reset();
  }
  void Start(const QueuePosition& position, const std::vector<ParkedChain>& parked) {
    queue->Start({0, driver.TakeQueue(position), driver.doorbell()}, parked);
  }
  DriverRing::Request Request(uint32_t type, uint64_t sector) {
    return driver.Chain().Header(blk::RequestHeader{type, 0, sector});
  }
  DriverRing::Request Range(uint32_t type, const blk::RangeSegment& segment) {
    return Request(type, 0).Header(segment);
  }
  SentChain Serve(DriverRing::Request request) {
    const SentChain sent = request.Send();
    driver.Kick();
    loop.RunUntilIdle();
    return sent;
  }
  char StatusOf(const SentChain& sent) { return driver.BytesOf(sent).back(); }

  ManualLoop loop;
  FakeDriver driver{DriverRing::Options{.size = kRingSize}};
  Node node{kDiskBytes};
  std::shared_ptr<BlkShared> shared = std::make_shared<BlkShared>();
  std::unique_ptr<BlkQueue> queue;
};
using BlkQueueTest = BlkQueueFixture<MemoryBlockNode>;
using HangingBlkQueueTest = BlkQueueFixture<HangingBlockNode>;

TEST_F(BlkQueueTest, ReadsIntoGuestMemory) {
  std::memset(node.bytes().data() + 1024, 'x', 512);
  const SentChain sent = Serve(Request(blk::kTypeIn, 2).Writable(100).Writable(412).Writable(1));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 513}));
  EXPECT_EQ(driver.BytesOf(sent), std::string(512, 'x') + kOk);
}

TEST_F(BlkQueueTest, WritesFromGuestMemory) {
  const SentChain sent = Serve(Request(blk::kTypeOut, 1).Readable(std::string(512, 'y')).Writable(1));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
  EXPECT_EQ(StatusOf(sent), kOk);
  EXPECT_EQ(node.bytes()[512], std::byte{'y'});
  EXPECT_THAT(node.served(), testing::ElementsAre(Served{Op::kWrite, 512, 512, false, false}));
}

TEST_F(BlkQueueTest, HeaderAndDataMayShareDescriptors) {
  const blk::RequestHeader header{blk::kTypeOut, 0, 0};
  std::string text(reinterpret_cast<const char*>(&header), sizeof(header));
  const SentChain sent = Serve(driver.Chain().Readable(text + std::string(512, 'z')).Writable(1));
  EXPECT_EQ(StatusOf(sent), kOk);
  EXPECT_EQ(node.bytes()[0], std::byte{'z'});
}

TEST_F(BlkQueueTest, WriteThroughWritesAreOnStableStorage) {
  shared->writeback = false;
  Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1));
  EXPECT_THAT(node.served(), testing::ElementsAre(Served{Op::kWrite, 0, 512, true, false}));
}

TEST_F(BlkQueueTest, FlushReachesTheNode) {
  const SentChain sent = Serve(Request(blk::kTypeFlush, 0).Writable(1));
  EXPECT_EQ(StatusOf(sent), kOk);
  EXPECT_THAT(node.served(), testing::ElementsAre(Served{Op::kFlush, 0, 0, false, false}));
}

TEST_F(BlkQueueTest, SerialNumberIsPaddedWithZeros) {
  const SentChain sent = Serve(Request(blk::kTypeGetId, 0).Writable(20).Writable(1));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 21}));
  EXPECT_EQ(driver.BytesOf(sent), std::string("SN-42") + std::string(15, '\0') + kOk);
}

TEST_F(BlkQueueTest, DiscardAndWriteZeroesCarryOneSegment) {
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {2, 4, 0}).Writable(1))), kOk);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeWriteZeroes, {8, 1, blk::kRangeUnmap}).Writable(1))), kOk);
  EXPECT_THAT(node.served(), testing::ElementsAre(Served{Op::kDiscard, 1024, 2048, false, false},
                                                  Served{Op::kWriteZeroes, 4096, 512, false, true}));
}

TEST_F(BlkQueueTest, DiscardOfAnImageThatCannotIsNoError) {
  node.FailNext(Op::kDiscard, BlkStatus::kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {2, 4, 0}).Writable(1))), kOk);
}

TEST_F(BlkQueueTest, BadSegmentsAreRefused) {
  const blk::RangeSegment good{0, 1, 0};
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {0, 1, blk::kRangeUnmap}).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeWriteZeroes, {0, 1, 2}).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {0, 65, 0}).Writable(1))), kIoError);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {~uint64_t{0}, 64, 0}).Writable(1))), kIoError);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, good).Header(good).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeDiscard, 0).Readable("short").Writable(1))), kIoError);
  EXPECT_EQ(shared->counters.bad_segments.value(), 5U);
  EXPECT_EQ(shared->counters.bad_ranges.value(), 1U);
  EXPECT_TRUE(node.served().empty());
}

TEST_F(BlkQueueTest, WhatWasNotOfferedIsUnsupported) {
  shared->discard = shared->write_zeroes = false;
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {0, 1, 0}).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeWriteZeroes, {0, 1, 0}).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Request(2, 0).Writable(1))), kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Request(0x7fffffff, 0).Writable(1))), kUnsupported);
  EXPECT_EQ(shared->counters.unsupported.value(), 4U);
}

TEST_F(BlkQueueTest, RequestsBeyondTheDiskAreRefused) {
  const auto read = [&](uint64_t sector, uint32_t bytes) {
    return StatusOf(Serve(Request(blk::kTypeIn, sector).Writable(bytes).Writable(1)));
  };
  const uint64_t end = kDiskBytes / 512;
  EXPECT_EQ(read(end - 1, 512), kOk);
  EXPECT_EQ(read(end, 512), kIoError);
  EXPECT_EQ(read(end - 1, 1024), kIoError);
  EXPECT_EQ(read(~uint64_t{0}, 512), kIoError);
  EXPECT_EQ(read(uint64_t{1} << 55, 512), kIoError);  // times 512 overflows
  EXPECT_EQ(read(0, 100), kIoError);                  // no whole sector
  EXPECT_EQ(shared->counters.bad_ranges.value(), 5U);
}

TEST_F(BlkQueueTest, RequestsAreWholeLogicalBlocks) {
  shared->logical_block_size = 4096;
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeIn, 8).Writable(4096).Writable(1))), kOk);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeIn, 8).Writable(512).Writable(1))), kIoError);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeIn, 1).Writable(4096).Writable(1))), kIoError);
}

TEST_F(BlkQueueTest, EmptyTransfersSucceedWithoutTheNode) {
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeIn, 0).Writable(1))), kOk);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeOut, 0).Writable(1))), kOk);
  EXPECT_TRUE(node.served().empty());
}

TEST_F(BlkQueueTest, ReadOnlyDiskRefusesWhatWrites) {
  shared->read_only = true;
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1))), kIoError);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {0, 1, 0}).Writable(1))), kIoError);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeWriteZeroes, {0, 1, 0}).Writable(1))), kIoError);
  EXPECT_TRUE(node.served().empty());
}

TEST_F(BlkQueueTest, ShortHeaderReturnsIoErr) {
  const SentChain sent = Serve(driver.Chain().Readable("short").Writable(1));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
  EXPECT_EQ(StatusOf(sent), kIoError);
}

TEST_F(BlkQueueTest, RequestWithoutStatusByteIsUsedWithoutAnAnswer) {
  const SentChain sent = Serve(Request(blk::kTypeFlush, 0));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(shared->counters.short_requests.value(), 1U);
}

TEST_F(BlkQueueTest, FailedReadSaysThatNothingWasWritten) {
  node.FailNext(Op::kRead, BlkStatus::kIoError);
  const SentChain sent = Serve(Request(blk::kTypeIn, 0).Writable(512).Writable(1));
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(StatusOf(sent), kIoError);
}

TEST_F(BlkQueueTest, IgnoredErrorsAreSuccess) {
  shared->write_errors = BlkErrorPolicy::kIgnore;
  node.FailNext(Op::kWrite, BlkStatus::kIoError);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1))), kOk);
  EXPECT_EQ(shared->counters.ignored_errors.value(), 1U);
}

TEST_F(BlkQueueTest, FullHostStopsTheVmAndContTriesAgain) {
  unsigned stops = 0;
  shared->on_error = [&](const BlkError& error) {
    stops += !error.is_read && error.no_space && error.action == BlkErrorPolicy::kStop ? 1 : 0;
    EXPECT_EQ(error.sys_errno, ENOSPC);
    return true;
  };
  node.FailNext(Op::kWrite, BlkStatus::kNoSpace);
  const SentChain sent = Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1));
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  EXPECT_EQ(stops, 1U);

  std::optional<QueueAtRest> rest;
  queue->Stop([&](std::optional<QueueAtRest> one) { rest = std::move(one); });
  ASSERT_TRUE(rest.has_value());
  ASSERT_EQ(rest->parked.size(), 1U);
  Start(rest->queue.position(), rest->parked);
  loop.RunUntilIdle();

  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
  EXPECT_EQ(StatusOf(sent), kOk);
  EXPECT_EQ(node.bytes()[0], std::byte{'y'});
}

// QEMU 7.2: each policy, what it makes of an error of each kind, and that every failed request is told.
TEST_F(BlkQueueTest, EveryPolicyTellsWhatItDid) {
  std::vector<BlkErrorPolicy> told;
  shared->on_error = [&](const BlkError& error) {
    told.push_back(error.action);
    EXPECT_EQ(error.sys_errno, error.no_space ? ENOSPC : EIO);
    return false;
  };
  const auto answer = [&](BlkErrorPolicy policy, BlkStatus status) {
    shared->write_errors = policy;
    node.FailNext(Op::kWrite, status);
    return StatusOf(Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1)));
  };
  EXPECT_EQ(answer(BlkErrorPolicy::kReport, BlkStatus::kNoSpace), kIoError);
  EXPECT_EQ(answer(BlkErrorPolicy::kIgnore, BlkStatus::kIoError), kOk);
  EXPECT_EQ(answer(BlkErrorPolicy::kEnospc, BlkStatus::kIoError), kIoError);
  EXPECT_EQ(answer(BlkErrorPolicy::kEnospc, BlkStatus::kNoSpace), kIoError);  // nobody stops here
  EXPECT_EQ(answer(BlkErrorPolicy::kStop, BlkStatus::kIoError), kIoError);
  EXPECT_EQ(told, (std::vector<BlkErrorPolicy>{BlkErrorPolicy::kReport, BlkErrorPolicy::kIgnore,
                                               BlkErrorPolicy::kReport, BlkErrorPolicy::kStop,
                                               BlkErrorPolicy::kStop}));
}

TEST_F(BlkQueueTest, OperationTheNodeDoesNotKnowIsNobodysError) {
  unsigned told = 0;
  shared->on_error = [&](const BlkError&) { return ++told > 0; };
  node.FailNext(Op::kDiscard, BlkStatus::kUnsupported);
  node.FailNext(Op::kWriteZeroes, BlkStatus::kUnsupported);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeDiscard, {0, 8, 0}).Writable(1))), kOk);
  EXPECT_EQ(StatusOf(Serve(Range(blk::kTypeWriteZeroes, {0, 8, 0}).Writable(1))), kUnsupported);
  EXPECT_EQ(told, 0U);
}

TEST_F(BlkQueueTest, HostThatCannotStopTellsTheGuest) {
  shared->write_errors = BlkErrorPolicy::kStop;
  shared->on_error = [](const BlkError&) { return false; };
  node.FailNext(Op::kWrite, BlkStatus::kIoError);
  EXPECT_EQ(StatusOf(Serve(Request(blk::kTypeOut, 0).Readable(std::string(512, 'y')).Writable(1))), kIoError);
}

TEST_F(BlkQueueTest, BatchOfCompletionsIsOneInterrupt) {
  for (int i = 0; i < 4; ++i) {
    Request(blk::kTypeFlush, 0).Writable(1).Send();
  }
  driver.Kick();
  loop.RunUntilIdle();
  EXPECT_EQ(driver.counters().completed.value(), 4U);
  EXPECT_EQ(driver.notifications(), 1U);
}

TEST_F(BlkQueueTest, KicksAreSuppressedWhileItServes) {
  Serve(Request(blk::kTypeFlush, 0).Writable(1));
  Request(blk::kTypeFlush, 0).Writable(1).Send();
  EXPECT_TRUE(driver.ring().KickWanted());
}

TEST_F(BlkQueueTest, PollingFindsRequestsWithoutAKick) {
  const SentChain sent = Request(blk::kTypeFlush, 0).Writable(1).Send();
  EXPECT_TRUE(loop.PollOnce());
  loop.RunUntilIdle();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 1}));
}

TEST_F(BlkQueueTest, RequestsAreReusedNotAllocated) {
  for (int i = 0; i < 100; ++i) {
    Serve(Request(blk::kTypeIn, 0).Writable(512).Writable(1));
    EXPECT_TRUE(driver.NextUsed().has_value());
  }
  EXPECT_EQ(shared->counters.reads.value(), 100U);
}

TEST_F(HangingBlkQueueTest, StopWaitsForWhatIsInFlight) {
  const SentChain sent = Serve(Request(blk::kTypeIn, 0).Writable(512).Writable(1));
  std::optional<QueueAtRest> rest;
  queue->Stop([&](std::optional<QueueAtRest> one) { rest = std::move(one); });
  Request(blk::kTypeFlush, 0).Writable(1).Send();
  driver.Kick();
  loop.RunUntilIdle();
  EXPECT_FALSE(rest.has_value());
  EXPECT_EQ(node.in_flight(), 1U);  // nothing new was begun
  node.Release();
  loop.RunUntilIdle();
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->queue.position().next_used, 1U);
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 513}));
}

TEST_F(HangingBlkQueueTest, HangingRequestsAreNamed) {
  Serve(Request(blk::kTypeOut, 8).Readable(std::string(512, 'y')).Writable(1));
  Serve(Request(blk::kTypeFlush, 0).Writable(1));
  std::vector<std::string> stuck;
  queue->Stuck(MonotonicNs() + 12'000'000'000, 1'000'000'000, &stuck);
  EXPECT_THAT(stuck, testing::ElementsAre("node disk0, write at 4096, 12 s", "node disk0, flush, 12 s"));
  node.ReleaseAll();
}

TEST_F(HangingBlkQueueTest, NoMoreIsInFlightThanTheRingHolds) {
  // A driver that makes the same request available again and again without waiting for it.
  const SentChain sent = Request(blk::kTypeFlush, 0).Writable(1).Send();
  DriverRing& ring = driver.ring();
  for (uint16_t i = 0; i < kRingSize; ++i) {
    driver.guest().Store<uint16_t>(ring.config().driver + 4 + 2 * uint64_t{i}, sent.id);
  }
  for (uint16_t available = 2; available <= 3 * kRingSize; ++available) {
    driver.guest().Store<uint16_t>(ring.config().driver + 2, available);
    driver.Kick();
    loop.RunUntilIdle();
  }
  EXPECT_EQ(node.in_flight(), kRingSize);
  EXPECT_EQ(driver.why_broken(), RingFaultText(RingFault::kOverrun));
  node.ReleaseAll();
  loop.RunUntilIdle();
}

}  // namespace
}  // namespace nandu
