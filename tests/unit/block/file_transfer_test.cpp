// What FileChannel does when the host misbehaves: the ring is of paper, every result is the test's.
#include "block/file_transfer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <linux/falloc.h>

#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;

class FileTransferTest : public testing::Test {
 protected:
  FileTransferTest() { file_->size_bytes = 1 << 20; }

  FileChannel& Channel() {
    if (!channel_) {
      channel_ = std::make_unique<FileChannel>(loop_, file_);
    }
    return *channel_;
  }
  const FakeOp& Pending() { return loop_.fake.pending.at(0); }
  void Answer(int32_t result) {
    loop_.fake.Complete(result);
    loop_.RunUntilIdle();
  }
  size_t PendingBytes() {
    size_t total = 0;
    for (const iovec& vec : Pending().iov) {
      total += vec.iov_len;
    }
    return total;
  }

  ManualLoop loop_;
  std::shared_ptr<FileBackend> file_ = std::make_shared<FileBackend>();
  std::unique_ptr<FileChannel> channel_;
};

TEST_F(FileTransferTest, ShortReadIsContinued) {
  TestRequest read(Op::kRead, 4096, 1000);
  read.Cut({100, 300});
  Channel().Submit(&read);
  EXPECT_EQ(Pending().offset, 4096U);

  Answer(150);
  EXPECT_EQ(Pending().offset, 4246U);
  EXPECT_EQ(PendingBytes(), 850U);
  EXPECT_EQ(Pending().iov[0].iov_base, read.memory.data() + 150);
  EXPECT_FALSE(read.status);
  Answer(850);

  EXPECT_EQ(read.status, BlkStatus::kOk);
  EXPECT_EQ(file_->counters.continued.value(), 1U);
}

TEST_F(FileTransferTest, ShortWriteIsContinued) {
  TestRequest write(Op::kWrite, 0, 1024);
  Channel().Submit(&write);

  Answer(512);
  EXPECT_EQ(Pending().offset, 512U);
  Answer(512);

  EXPECT_EQ(write.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, ReadPastTheEndOfTheFileIsZeroes) {
  TestRequest read(Op::kRead, 0, 1024);
  read.Cut({700});
  Channel().Submit(&read);

  Answer(600);
  Answer(0);

  EXPECT_EQ(read.status, BlkStatus::kOk);
  EXPECT_EQ(read.memory[599], std::byte{0xee});
  EXPECT_EQ(std::vector<std::byte>(read.memory.begin() + 600, read.memory.end()),
            std::vector<std::byte>(424));
}

TEST_F(FileTransferTest, WriteThatGetsNowhereIsAnError) {
  TestRequest write(Op::kWrite, 0, 512);
  Channel().Submit(&write);

  Answer(0);

  EXPECT_EQ(write.status, BlkStatus::kIoError);
}

TEST_F(FileTransferTest, InterruptedAndBusyAreTriedAgain) {
  TestRequest read(Op::kRead, 0, 512);
  Channel().Submit(&read);

  Answer(-EINTR);
  Answer(-EAGAIN);
  Answer(512);

  EXPECT_EQ(read.status, BlkStatus::kOk);
  EXPECT_EQ(file_->counters.retried.value(), 2U);
}

TEST_F(FileTransferTest, EndlessRefusalIsAnErrorInTheEnd) {
  TestRequest read(Op::kRead, 0, 512);
  Channel().Submit(&read);

  for (int i = 0; i < 100 && !read.status; ++i) {
    Answer(-EAGAIN);
  }

  EXPECT_EQ(read.status, BlkStatus::kIoError);
}

TEST_F(FileTransferTest, ErrorsHaveTheirStatus) {
  TestRequest full(Op::kWrite, 0, 512);
  TestRequest quota(Op::kWrite, 0, 512);
  TestRequest broken(Op::kWrite, 0, 512);
  for (TestRequest* request : {&full, &quota, &broken}) {
    Channel().Submit(request);
  }

  Answer(-ENOSPC);
  Answer(-EDQUOT);
  Answer(-EIO);

  EXPECT_EQ(full.status, BlkStatus::kNoSpace);
  EXPECT_EQ(quota.status, BlkStatus::kIoError) << "as in QEMU, only a full disk is one that is full";
  EXPECT_EQ(broken.status, BlkStatus::kIoError);
  EXPECT_EQ(file_->counters.errors.value(), 3U);
}

TEST_F(FileTransferTest, LongVectorsAreSplit) {
  constexpr size_t kPieces = 2 * IOV_MAX + 10;
  TestRequest write(Op::kWrite, 0, kPieces * 8);
  write.Cut(std::vector<size_t>(kPieces - 1, 8));
  Channel().Submit(&write);

  EXPECT_EQ(Pending().iov.size(), static_cast<size_t>(IOV_MAX));
  Answer(IOV_MAX * 8);
  EXPECT_EQ(Pending().iov.size(), static_cast<size_t>(IOV_MAX));
  EXPECT_EQ(Pending().offset, static_cast<uint64_t>(IOV_MAX * 8));
  Answer(IOV_MAX * 8);
  EXPECT_EQ(PendingBytes(), 80U);
  Answer(80);

  EXPECT_EQ(write.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, DurableWritesSayDsync) {
  TestRequest plain(Op::kWrite, 0, 512);
  TestRequest durable(Op::kWrite, 0, 512);
  durable.fua = true;
  Channel().Submit(&plain);
  Channel().Submit(&durable);

  EXPECT_EQ(loop_.fake.pending.at(0).mode, 0);
  EXPECT_EQ(loop_.fake.pending.at(1).mode, RWF_DSYNC);
  Answer(512);
  Answer(512);
}

TEST_F(FileTransferTest, WriteThroughMakesEveryWriteDurable) {
  file_->write_through = true;
  TestRequest write(Op::kWrite, 0, 512);
  TestRequest zeroes(Op::kWriteZeroes, 0, 512);
  Channel().Submit(&write);
  EXPECT_EQ(Pending().mode, RWF_DSYNC);
  Answer(512);

  Channel().Submit(&zeroes);
  Answer(0);
  EXPECT_EQ(Pending().kind, FakeOp::Kind::kFsync);
  EXPECT_FALSE(zeroes.status);
  Answer(0);

  EXPECT_EQ(zeroes.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, FlushSyncsTheData) {
  TestRequest flush(Op::kFlush);
  Channel().Submit(&flush);

  EXPECT_EQ(Pending().kind, FakeOp::Kind::kFsync);
  EXPECT_EQ(Pending().mode, 1) << "fdatasync";
  Answer(0);

  EXPECT_EQ(flush.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, AfterAFailedFlushNoneSucceeds) {
  TestRequest first(Op::kFlush);
  TestRequest second(Op::kFlush);
  Channel().Submit(&first);
  Answer(-EIO);

  Channel().Submit(&second);
  EXPECT_FALSE(second.status) << "never from within Submit";
  loop_.RunUntilIdle();

  EXPECT_EQ(first.status, BlkStatus::kIoError);
  EXPECT_EQ(second.status, BlkStatus::kIoError);
  EXPECT_TRUE(loop_.fake.pending.empty());
}

TEST_F(FileTransferTest, UnsafeCacheFlushesNothing) {
  file_->no_flush = true;
  TestRequest flush(Op::kFlush);
  TestRequest write(Op::kWrite, 0, 512);
  write.fua = true;
  Channel().Submit(&flush);
  loop_.RunUntilIdle();
  EXPECT_EQ(flush.status, BlkStatus::kOk);

  Channel().Submit(&write);
  EXPECT_EQ(Pending().mode, 0);
  Answer(512);
}

TEST_F(FileTransferTest, DiscardPunchesAHole) {
  TestRequest discard(Op::kDiscard, 4096, 8192);
  Channel().Submit(&discard);

  EXPECT_EQ(Pending().kind, FakeOp::Kind::kFallocate);
  EXPECT_EQ(Pending().mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  EXPECT_EQ(Pending().offset, 4096U);
  EXPECT_EQ(Pending().bytes, 8192U);
  Answer(0);

  EXPECT_EQ(discard.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, DiscardIsAHintWhereHolesAreUnknown) {
  TestRequest first(Op::kDiscard, 0, 4096);
  TestRequest second(Op::kDiscard, 0, 4096);
  Channel().Submit(&first);
  Answer(-EOPNOTSUPP);
  Channel().Submit(&second);
  loop_.RunUntilIdle();

  EXPECT_EQ(first.status, BlkStatus::kOk);
  EXPECT_EQ(second.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, ZeroesGoFromHoleToZeroRangeToWriting) {
  TestRequest zeroes(Op::kWriteZeroes, 512, 200 * 1024);
  zeroes.may_unmap = true;
  Channel().Submit(&zeroes);

  EXPECT_EQ(Pending().mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  Answer(-EOPNOTSUPP);
  EXPECT_EQ(Pending().mode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
  Answer(-EOPNOTSUPP);
  EXPECT_EQ(Pending().kind, FakeOp::Kind::kWritev);
  EXPECT_EQ(Pending().offset, 512U);
  EXPECT_EQ(PendingBytes(), 192U * 1024);
  Answer(100 * 1024);
  Answer(64 * 1024);
  EXPECT_EQ(PendingBytes(), 36U * 1024);
  Answer(36 * 1024);

  EXPECT_EQ(zeroes.status, BlkStatus::kOk);
  EXPECT_FALSE(file_->has_zero_range);
}

TEST_F(FileTransferTest, ZeroesWithoutUnmapKeepTheirBlocks) {
  TestRequest zeroes(Op::kWriteZeroes, 0, 4096);
  Channel().Submit(&zeroes);

  EXPECT_EQ(Pending().mode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
  Answer(-ENOSPC);

  EXPECT_EQ(zeroes.status, BlkStatus::kNoSpace);
}

TEST_F(FileTransferTest, DeviceDiscardsWholeBlocksOnly) {
  file_->block_device = true;
  file_->logical_block_size = 4096;
  TestRequest part(Op::kDiscard, 512, 4096);
  TestRequest whole(Op::kDiscard, 512, 8192);
  Channel().Submit(&part);
  loop_.RunUntilIdle();
  EXPECT_EQ(part.status, BlkStatus::kOk);

  Channel().Submit(&whole);
  EXPECT_EQ(Pending().kind, FakeOp::Kind::kRun);
  Answer(-EOPNOTSUPP);

  EXPECT_EQ(whole.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, BeyondTheEndIsRefusedAndCounted) {
  TestRequest far(Op::kRead, UINT64_MAX - 100, 512);
  TestRequest across(Op::kWrite, (1 << 20) - 256, 512);
  Channel().Submit(&far);
  Channel().Submit(&across);

  loop_.RunUntilIdle();

  EXPECT_EQ(far.status, BlkStatus::kIoError);
  EXPECT_EQ(across.status, BlkStatus::kIoError);
  EXPECT_EQ(file_->counters.out_of_range.value(), 2U);
}

TEST_F(FileTransferTest, ReadOnlyFileRefusesEveryChange) {
  file_->read_only = true;
  TestRequest write(Op::kWrite, 0, 512);
  TestRequest discard(Op::kDiscard, 0, 512);
  TestRequest zeroes(Op::kWriteZeroes, 0, 512);
  TestRequest flush(Op::kFlush);
  for (TestRequest* request : {&write, &discard, &zeroes, &flush}) {
    Channel().Submit(request);
  }

  loop_.RunUntilIdle();

  EXPECT_EQ(write.status, BlkStatus::kIoError);
  EXPECT_EQ(discard.status, BlkStatus::kIoError);
  EXPECT_EQ(zeroes.status, BlkStatus::kIoError);
  EXPECT_EQ(flush.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, NothingToDoIsDoneSoon) {
  TestRequest read(Op::kRead, 0, 0);
  Channel().Submit(&read);
  EXPECT_FALSE(read.status);

  loop_.RunUntilIdle();

  EXPECT_EQ(read.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, FailedBounceReadFailsTheWriteAndFreesTheRange) {
  file_->direct = true;
  file_->offset_alignment = 4096;
  file_->memory_alignment = 512;
  TestRequest part(Op::kWrite, 512, 512);
  TestRequest next(Op::kWrite, 1024, 512);
  Channel().Submit(&part);
  Channel().Submit(&next);
  EXPECT_EQ(loop_.fake.pending.size(), 1U) << "the block is one request's at a time";

  Answer(-EIO);
  EXPECT_EQ(part.status, BlkStatus::kIoError);
  EXPECT_EQ(Pending().kind, FakeOp::Kind::kReadv);
  Answer(4096);
  EXPECT_EQ(Pending().kind, FakeOp::Kind::kWritev);
  Answer(4096);

  EXPECT_EQ(next.status, BlkStatus::kOk);
}

TEST_F(FileTransferTest, BounceBuffersAreBoundedAndShared) {
  file_->direct = true;
  file_->offset_alignment = 512;
  file_->memory_alignment = 512;
  std::vector<TestRequest> requests;
  for (size_t i = 0; i < 40; ++i) {
    requests.emplace_back(Op::kRead, i * 512, 512);
    requests.back().memory.resize(513);
    requests.back().vector = {{requests.back().memory.data() + 1, 512}};
    requests.back().iov = requests.back().vector;
  }
  for (TestRequest& request : requests) {
    Channel().Submit(&request);
  }
  EXPECT_EQ(loop_.fake.pending.size(), 16U);

  while (!loop_.fake.pending.empty()) {
    Answer(512);
  }

  EXPECT_TRUE(std::all_of(requests.begin(), requests.end(),
                          [](const TestRequest& request) { return request.status == BlkStatus::kOk; }));
}

}  // namespace
}  // namespace nandu
