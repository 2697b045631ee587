// Flash on the board: memory that is left when it is written, kept in its block node when a command is over.
#include "devices/legacy/pflash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "devices/legacy/legacy_ports.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using testing::HasSubstr;

constexpr uint64_t kFourGiB = uint64_t{1} << 32;
constexpr uint64_t kBytes = 64 << 10;
constexpr uint64_t kBase = kFourGiB - kBytes;

// The test turns the loop itself; while the chip reads all of its node it waits, and somebody else turns it.
struct PflashTest : testing::Test {
  FakeHost host;
  ManualLoop loop;
  std::shared_ptr<MemoryBlockNode> node = std::make_shared<MemoryBlockNode>(kBytes, "vars");
  std::unique_ptr<Pflash> chip;

  void SetUp() override {
    host.io_loops[""] = &loop;
    host.nodes["vars"] = node;
    node->bytes()[0] = std::byte{'v'};
  }
  void TearDown() override {
    chip.reset();
    loop.RunUntilIdle();
  }
  Result<> Create() {
    std::atomic<bool> made = false;
    Result<> result;
    std::thread maker([&] {
      Result<std::unique_ptr<Pflash>> created = Pflash::Create(host, 1, "vars", kFourGiB);
      if (created) {
        chip = std::move(created).value();
      } else {
        result = tl::unexpected(std::move(created).error());
      }
      made = true;
    });
    while (!made) {
      loop.RunUntilIdle();
      std::this_thread::yield();
    }
    maker.join();
    return result;
  }
  ExitDone Write(uint64_t offset, uint64_t value) { return host.memory.Write(kBase + offset, 1, value); }
  uint64_t Read(uint64_t offset) { return host.memory.Read(kBase + offset, 1); }
  bool IsMemory() { return host.memory.view()->Find(kBase)->kind == Region::Kind::kRam; }
};

TEST_F(PflashTest, ItIsMemoryUntilItIsGivenACommand) {
  ASSERT_TRUE(Create());
  EXPECT_EQ(Read(0), uint64_t{'v'});
  EXPECT_TRUE(IsMemory());
  (void)Write(0, 0x70);
  EXPECT_FALSE(IsMemory());
  EXPECT_EQ(Read(0), 0x80u);
  (void)Write(0, 0xff);
  EXPECT_TRUE(IsMemory());
  EXPECT_EQ(Read(0), uint64_t{'v'});
}

TEST_F(PflashTest, WhatIsProgrammedIsInTheNodeWhenTheGuestGoesOn) {
  ASSERT_TRUE(Create());
  for (uint64_t i = 0; i < 3; i++) {
    EXPECT_EQ(Write(0x100 + i, 0x10).token(), nullptr);
    EXPECT_EQ(Write(0x100 + i, 'a' + i).token(), nullptr);
  }
  const ExitDone done = Write(0x100, 0xff);
  ASSERT_NE(done.token(), nullptr);
  EXPECT_FALSE(done.token()->signalled());
  loop.RunUntilIdle();
  EXPECT_TRUE(done.token()->signalled());
  EXPECT_EQ(node->bytes()[0x102], std::byte{'c'});
  EXPECT_EQ(Read(0x101), uint64_t{'b'});
  ASSERT_EQ(node->served().size(), 2u);  // the array at first, and one write
  EXPECT_EQ(node->served()[1].bytes, 3u);
}

TEST_F(PflashTest, AnErasureWaitsForTheNode) {
  ASSERT_TRUE(Create());
  (void)Write(0x1000, 0x20);
  const ExitDone done = Write(0x1000, 0xd0);
  ASSERT_NE(done.token(), nullptr);
  loop.RunUntilIdle();
  EXPECT_EQ(node->bytes()[0x1fff], std::byte{0xff});
  EXPECT_EQ(node->bytes()[0x2000], std::byte{0});
}

TEST_F(PflashTest, QuiescedEverythingIsKept) {
  ASSERT_TRUE(Create());
  (void)Write(0x100, 0x10);
  (void)Write(0x100, 'x');
  bool quiet = false;
  chip->Quiesce([&quiet] { quiet = true; });
  EXPECT_FALSE(quiet);
  EXPECT_EQ(chip->StuckRequests().size(), 1u);
  loop.RunUntilIdle();
  EXPECT_TRUE(quiet);
  EXPECT_EQ(node->bytes()[0x100], std::byte{'x'});
  EXPECT_TRUE(chip->StuckRequests().empty());
}

TEST_F(PflashTest, AWriteThatFailsDoesNotHoldTheGuest) {
  ASSERT_TRUE(Create());
  node->FailNext(BlockRequest::Op::kWrite, BlkStatus::kNoSpace);
  (void)Write(0x1000, 0x20);
  const ExitDone done = Write(0x1000, 0xd0);
  loop.RunUntilIdle();
  EXPECT_TRUE(done.token()->signalled());
  EXPECT_EQ(chip->store().failed().value(), 1u);
}

TEST_F(PflashTest, AReadOnlyNodeStaysAsItIs) {
  BlockLimits limits = node->limits();
  limits.read_only = true;
  node->SetLimits(limits);
  ASSERT_TRUE(Create());
  (void)Write(0x1000, 0x20);
  EXPECT_EQ(Write(0x1000, 0xd0).token(), nullptr);
  EXPECT_EQ(Read(0) & 0x20, 0x20u);
}

TEST_F(PflashTest, AResetMakesItMemoryAgain) {
  ASSERT_TRUE(Create());
  (void)Write(0, 0x98);
  chip->Reset();
  EXPECT_TRUE(IsMemory());
}

TEST_F(PflashTest, SavedAndLoadedItGoesOn) {
  ASSERT_TRUE(Create());
  (void)Write(0, 0x98);
  const std::vector<std::byte> saved = Saved(*chip);
  chip->Reset();
  ASSERT_TRUE(LoadInto(*chip, saved));
  EXPECT_EQ(Read(0x10), uint64_t{'Q'});
  EXPECT_THAT(LoadError(*chip, R"({"erase-block": 16})"), HasSubstr("does not fit"));
}

TEST_F(PflashTest, AnOddSizeIsASentence) {
  node->Grow(5000);
  EXPECT_THAT(Create().error().message, HasSubstr("has 5000 bytes"));
}

}  // namespace
}  // namespace nandu
