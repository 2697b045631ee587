// A block device of the host: a loop device with blocks of 4 KiB, so that O_DIRECT refuses what a guest with
// sectors of 512 bytes sends. Needs the right to make one.
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <random>
#include <sys/ioctl.h>
#include <unistd.h>

#include "block/block_graph.h"
#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;

constexpr uint64_t kDiskBytes = 4 * 1024 * 1024;

class HostDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/var/tmp/nandu-device-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    const UniqueFd file(::open((directory_ + "/image").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), kDiskBytes), 0);
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
    path_ = "/dev/loop" + std::to_string(number);
    device_.Reset(number >= 0 ? ::open(path_.c_str(), O_RDWR | O_CLOEXEC) : -1);
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.get());
    config.block_size = 4096;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (!device_ || ::ioctl(device_.get(), LOOP_CONFIGURE, &config) != 0) {
      GTEST_SKIP() << "no right to make a loop device";
    }
  }
  ~HostDeviceTest() override { std::filesystem::remove_all(directory_); }

  std::shared_ptr<BlockNode> Claim(const boost::json::object& options) {
    const Result<> added = graph_.AddDrive("d", options);
    EXPECT_TRUE(added) << added.error().message;
    auto claimed = graph_.Claim("d", "vda");
    EXPECT_TRUE(claimed) << claimed.error().message;
    return *claimed;
  }

  std::string directory_;
  std::string path_;
  UniqueFd device_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
  EngineLoop loop_;
};

TEST_F(HostDeviceTest, DriveOfADeviceKnowsItsBlocks) {
  const auto node = Claim({{"file", path_}, {"format", "raw"}});

  const BlockLimits limits = node->limits();

  EXPECT_EQ(limits.size_bytes, kDiskBytes);
  EXPECT_EQ(limits.logical_block_size, 4096U);
  EXPECT_GE(limits.physical_block_size, 4096U);
  EXPECT_EQ(graph_.Nodes().at(0).driver, "host_device");
}

TEST_F(HostDeviceTest, FileDriverRefusesADevice) {
  const Result<> added = graph_.AddDrive("d", {{"file", path_}, {"format", "file"}});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message,
            "d: " + path_ + " is a block device, use driver=host_device; driver=file needs a regular file");
}

TEST_F(HostDeviceTest, DirectIoAgreesWithACopyInMemory) {
  const auto node = Claim({{"file", path_}, {"format", "raw"}, {"cache", "none"}, {"discard", "unmap"}});
  const auto channel = node->OpenChannel(*loop_).value();
  std::mt19937 random(7);
  std::vector<std::byte> model(kDiskBytes);
  const auto below = [&](uint64_t limit) {
    return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random);
  };
  for (int round = 0; round < 100; ++round) {
    uint64_t at = below(kDiskBytes / 512);
    std::vector<std::unique_ptr<TestRequest>> requests;
    for (int i = 0; i < 5 && at < kDiskBytes / 512; ++i) {
      const uint64_t sectors = 1 + below(std::min<uint64_t>(kDiskBytes / 512 - at, 20));
      constexpr Op kOps[] = {Op::kRead, Op::kWrite, Op::kWrite, Op::kWriteZeroes};
      requests.push_back(std::make_unique<TestRequest>(kOps[below(4)], at * 512, sectors * 512));
      TestRequest& request = *requests.back();
      request.may_unmap = below(2) == 0;
      for (std::byte& byte : request.memory) {
        byte = request.op == Op::kWrite ? static_cast<std::byte>(random()) : byte;
      }
      channel->Submit(&request);
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
  TestRequest all(Op::kRead, 0, kDiskBytes);
  channel->Submit(&all);
  loop_.RunUntilIdle();
  EXPECT_EQ(all.memory, model);
}

TEST_F(HostDeviceTest, DiscardReachesTheDevice) {
  const auto node = Claim({{"file", path_}, {"format", "raw"}, {"discard", "unmap"}});
  const auto channel = node->OpenChannel(*loop_).value();
  TestRequest write = TestRequest::Write(0, std::string(16384, 'x'));
  TestRequest flush(Op::kFlush);
  TestRequest discard(Op::kDiscard, 512, 12288);
  TestRequest read(Op::kRead, 0, 16384);

  for (TestRequest* request : {&write, &flush, &discard, &read}) {
    channel->Submit(request);
    loop_.RunUntilIdle();
    EXPECT_EQ(request->status, BlkStatus::kOk);
  }

  // Whole blocks only: the first one keeps what the discard did not cover. A loop device discards by a hole,
  // which reads as zeroes.
  EXPECT_EQ(read.text(), std::string(4096, 'x') + std::string(8192, '\0') + std::string(4096, 'x'));
}

}  // namespace
}  // namespace nandu
