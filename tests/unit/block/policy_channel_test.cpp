#include "block/policy_channel.h"

#include <gtest/gtest.h>

#include "block/image_format.h"
#include "support/block_request.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;
using Served = MemoryBlockNode::Served;

class PolicyChannelTest : public testing::Test {
 protected:
  TestRequest& Serve(TestRequest& request) {
    PolicyChannel channel(loop_, disk_.OpenChannel(loop_).value(), policy_);
    channel.Submit(&request);
    EXPECT_FALSE(request.status) << "never from within Submit";
    loop_.RunUntilIdle();
    return request;
  }

  ManualLoop loop_;
  MemoryBlockNode disk_{1 << 20};
  NodePolicy policy_{.size_bytes = std::make_shared<std::atomic<uint64_t>>(1 << 20)};
};

TEST_F(PolicyChannelTest, OffsetMovesEveryRequest) {
  policy_.offset = 4096;
  policy_.size_bytes = std::make_shared<std::atomic<uint64_t>>(8192);
  policy_.unmap = true;
  TestRequest write = TestRequest::Write(512, "abc");
  TestRequest discard(Op::kDiscard, 1024, 512);
  TestRequest outside(Op::kRead, 8192, 512);

  EXPECT_EQ(Serve(write).status, BlkStatus::kOk);
  EXPECT_EQ(Serve(discard).status, BlkStatus::kOk);
  EXPECT_EQ(Serve(outside).status, BlkStatus::kIoError);

  EXPECT_EQ(disk_.served(), (std::vector<Served>{{Op::kWrite, 4608, 3, false, false},
                                                 {Op::kDiscard, 5120, 512, false, false}}));
  EXPECT_EQ(write.offset, 512U) << "the caller's request is the caller's";
}

TEST_F(PolicyChannelTest, IgnoredDiscardSucceedsAndDoesNothing) {
  TestRequest discard(Op::kDiscard, 0, 4096);
  EXPECT_EQ(Serve(discard).status, BlkStatus::kOk);
  EXPECT_TRUE(disk_.served().empty());
}

TEST_F(PolicyChannelTest, ZeroesKeepTheirBlocksUnlessUnmapIsOn) {
  TestRequest kept(Op::kWriteZeroes, 0, 4096);
  TestRequest unmapped(Op::kWriteZeroes, 0, 4096);
  kept.may_unmap = true;
  unmapped.may_unmap = true;

  Serve(kept);
  policy_.unmap = true;
  Serve(unmapped);

  EXPECT_EQ(disk_.served(), (std::vector<Served>{{Op::kWriteZeroes, 0, 4096, false, false},
                                                 {Op::kWriteZeroes, 0, 4096, false, true}}));
}

TEST_F(PolicyChannelTest, DetectedZeroesBecomeWriteZeroes) {
  policy_.detect_zeroes = DetectZeroes::kUnmap;
  policy_.unmap = true;
  TestRequest zeroes = TestRequest::Write(0, std::string(4096, '\0'));
  zeroes.Cut({1, 100});
  zeroes.fua = true;
  TestRequest almost = TestRequest::Write(4096, std::string(4095, '\0') + "x");

  Serve(zeroes);
  Serve(almost);

  EXPECT_EQ(disk_.served(), (std::vector<Served>{{Op::kWriteZeroes, 0, 4096, true, true},
                                                 {Op::kWrite, 4096, 4096, false, false}}));
}

TEST_F(PolicyChannelTest, GuessedFormatCannotBeChanged) {
  policy_.guard_format = true;
  TestRequest qcow2 = TestRequest::Write(0, "QFI\xfb" + std::string(1020, 'x'));
  TestRequest harmless = TestRequest::Write(0, std::string(1024, 'y'));
  harmless.Cut({100, 500});
  TestRequest elsewhere = TestRequest::Write(512, "QFI\xfb" + std::string(508, 'x'));

  EXPECT_EQ(Serve(qcow2).status, BlkStatus::kIoError);
  EXPECT_EQ(Serve(harmless).status, BlkStatus::kOk);
  EXPECT_EQ(Serve(elsewhere).status, BlkStatus::kOk);

  TestRequest read(Op::kRead, 0, 516);
  EXPECT_EQ(Serve(read).text(), std::string(512, 'y') + "QFI\xfb");
}

TEST_F(PolicyChannelTest, StatusOfTheChildIsTheCallers) {
  policy_.offset = 512;
  policy_.size_bytes = std::make_shared<std::atomic<uint64_t>>(4096);
  disk_.FailNext(Op::kWrite, BlkStatus::kNoSpace);
  TestRequest write(Op::kWrite, 0, 512);
  EXPECT_EQ(Serve(write).status, BlkStatus::kNoSpace);
}

TEST(ImageFormat, KnowsSignaturesAndTakesTheRestAsRaw) {
  const auto guess = [](std::string text) {
    text.resize(512);
    return GuessFormat(std::as_bytes(std::span(text)));
  };
  EXPECT_EQ(guess("QFI\xfb"), "qcow2");
  EXPECT_EQ(guess("KDMV"), "vmdk");
  EXPECT_EQ(guess(std::string("LUKS\xba\xbe")), "luks");
  EXPECT_EQ(guess(std::string(64, 'x') + "\x7f\x10\xda\xbe"), "vdi");
  EXPECT_EQ(guess("\xeb\x63\x90"), "raw");
  EXPECT_EQ(GuessFormat({}), "raw");
}

}  // namespace
}  // namespace nandu
