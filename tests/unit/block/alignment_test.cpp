// The alignment layer against a copy in memory, with blocks of 4 KiB that no disk here has: the file is an
// ordinary one, and the ring checks that whatever reaches it is aligned as O_DIRECT would demand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file_transfer.h"
#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;

constexpr uint32_t kBlock = 4096;
constexpr uint32_t kMemory = 512;
constexpr uint64_t kDiskBytes = 1024 * 1024 + 1536;  // ends within a block

class CheckingRing final : public IoRing {
 public:
  explicit CheckingRing(IoRing& ring) : ring_(ring) {}
  std::string_view engine() const override { return ring_.engine(); }
  void Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) override {
    Check(v, offset);
    ring_.Readv(fd, v, offset, op);
  }
  void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) override {
    Check(v, offset);
    ring_.Writev(fd, v, offset, rw_flags, op);
  }
  void Fsync(int fd, bool data_only, IoOp* op) override { ring_.Fsync(fd, data_only, op); }
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) override {
    ring_.Fallocate(fd, mode, offset, bytes, op);
  }
  void PollReadable(int fd, IoOp* op) override { ring_.PollReadable(fd, op); }
  void PollWritable(int fd, IoOp* op) override { ring_.PollWritable(fd, op); }
  void Cancel(IoOp* op) override { ring_.Cancel(op); }
  void Run(UniqueFunction<int32_t()> work, IoOp* op) override { ring_.Run(std::move(work), op); }

 private:
  static void Check(std::span<const iovec> v, uint64_t offset) {
    size_t bytes = 0;
    for (const iovec& vec : v) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(vec.iov_base) % kMemory, 0U);
      EXPECT_EQ(vec.iov_len % kMemory, 0U);
      bytes += vec.iov_len;
    }
    EXPECT_EQ(offset % kBlock, 0U);
    EXPECT_EQ(bytes % kBlock, 0U);
  }
  IoRing& ring_;
};

class CheckingLoop final : public EventLoop {
 public:
  void Post(UniqueFunction<void()> work) override { engine_->Post(std::move(work)); }
  bool OnThread() const override { return true; }
  IoRing& ring() override { return ring_; }
  std::unique_ptr<EventWatch> Watch(int, UniqueFunction<void()>, UniqueFunction<bool()>) override {
    return nullptr;
  }
  void RunUntilIdle() { engine_.RunUntilIdle(); }

 private:
  EngineLoop engine_;
  CheckingRing ring_{engine_->ring()};
};

class AlignmentTest : public testing::Test {
 protected:
  AlignmentTest() {
    std::string path = "/var/tmp/nandu-align-XXXXXX";
    file_->fd.Reset(::mkstemp(path.data()));
    ::unlink(path.c_str());
    EXPECT_EQ(::ftruncate(file_->fd.get(), kDiskBytes), 0);
    file_->size_bytes = kDiskBytes;
    file_->direct = true;
    file_->offset_alignment = kBlock;
    file_->memory_alignment = kMemory;
    // Two queues of one disk: they must not undo each other's neighbours.
    channels_.push_back(std::make_unique<FileChannel>(loop_, file_));
    channels_.push_back(std::make_unique<FileChannel>(loop_, file_));
  }
  uint64_t FileBytes() const {
    struct stat status {};
    ::fstat(file_->fd.get(), &status);
    return static_cast<uint64_t>(status.st_size);
  }

  CheckingLoop loop_;
  std::shared_ptr<FileBackend> file_ = std::make_shared<FileBackend>();
  std::vector<std::unique_ptr<FileChannel>> channels_;
};

// Eight sectors of one block written at once by two queues.
TEST_F(AlignmentTest, PartsOfOneBlockWrittenTogetherAllArrive) {
  std::vector<std::unique_ptr<TestRequest>> writes;
  for (size_t sector = 0; sector < 24; ++sector) {
    const std::string text(512, static_cast<char>('a' + sector));
    writes.push_back(std::make_unique<TestRequest>(TestRequest::Write(sector * 512, text)));
    channels_[sector % 2]->Submit(writes.back().get());
  }
  loop_.RunUntilIdle();

  TestRequest read(Op::kRead, 0, 24 * 512);
  channels_[0]->Submit(&read);
  loop_.RunUntilIdle();

  for (size_t sector = 0; sector < 24; ++sector) {
    EXPECT_EQ(writes[sector]->status, BlkStatus::kOk);
    EXPECT_EQ(read.text().substr(sector * 512, 512), std::string(512, static_cast<char>('a' + sector)));
  }
  EXPECT_GE(file_->counters.read_modify_writes.value(), 24U);
}

TEST_F(AlignmentTest, AlignedRequestsGoStraightThrough) {
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kBlock, 2 * kBlock)), &std::free);
  TestRequest read(Op::kRead, kBlock, 2 * kBlock);
  read.vector = {{memory.get(), 2 * kBlock}};
  read.iov = read.vector;

  channels_[0]->Submit(&read);
  loop_.RunUntilIdle();

  EXPECT_EQ(read.status, BlkStatus::kOk);
  EXPECT_EQ(file_->counters.bounced.value(), 0U);
}

TEST_F(AlignmentTest, TheLastBlockDoesNotGrowTheFile) {
  TestRequest write = TestRequest::Write(kDiskBytes - 512, std::string(512, 'z'));
  channels_[0]->Submit(&write);
  loop_.RunUntilIdle();

  EXPECT_EQ(write.status, BlkStatus::kOk);
  EXPECT_EQ(FileBytes(), kDiskBytes);
  std::string sector(512, '\0');
  ASSERT_EQ(::pread(file_->fd.get(), sector.data(), 512, kDiskBytes - 512), 512);
  EXPECT_EQ(sector, std::string(512, 'z'));
}

TEST_F(AlignmentTest, AgreesWithACopyInMemory) {
  std::mt19937 random(42);
  std::vector<std::byte> model(kDiskBytes);
  const auto below = [&](uint64_t limit) {
    return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random);
  };
  for (int round = 0; round < 150; ++round) {
    file_->has_zero_range = below(2) == 0;
    // Neighbouring sector ranges, so that requests share blocks but no sector.
    uint64_t at = below(kDiskBytes / 512 - 1);
    std::vector<std::unique_ptr<TestRequest>> requests;
    for (size_t i = 0; i < 6 && at < kDiskBytes / 512; ++i) {
      const uint64_t most = kDiskBytes / 512 - at;
      const uint64_t sectors = 1 + below(std::min<uint64_t>(most, round % 8 == 0 ? 1500 : 12));
      constexpr Op kOps[] = {Op::kRead, Op::kWrite, Op::kWrite, Op::kWriteZeroes};
      auto request = std::make_unique<TestRequest>(kOps[below(4)], at * 512, sectors * 512);
      for (std::byte& byte : request->memory) {
        byte = request->op == Op::kWrite ? static_cast<std::byte>(random()) : byte;
      }
      request->Cut({below(request->memory.size() + 1) / 2});
      channels_[i % 2]->Submit(request.get());
      requests.push_back(std::move(request));
      at += sectors;
    }
    loop_.RunUntilIdle();
    for (const auto& request : requests) {
      ASSERT_EQ(request->status, BlkStatus::kOk);
      const auto begin = model.begin() + static_cast<std::ptrdiff_t>(request->offset);
      const auto end = begin + static_cast<std::ptrdiff_t>(request->bytes);
      switch (request->op) {
        case Op::kRead:
          ASSERT_TRUE(std::equal(begin, end, request->memory.begin())) << "round " << round;
          break;
        case Op::kWrite: std::copy(request->memory.begin(), request->memory.end(), begin); break;
        default: std::fill(begin, end, std::byte{0}); break;
      }
    }
  }
  std::vector<std::byte> there(kDiskBytes);
  ASSERT_EQ(::pread(file_->fd.get(), there.data(), there.size(), 0), static_cast<ssize_t>(kDiskBytes));
  EXPECT_EQ(there, model);
  EXPECT_EQ(FileBytes(), kDiskBytes);
}

}  // namespace
}  // namespace nandu
