#include "memory/guest_memory.h"

#include <gtest/gtest.h>

#include "memory/dma_space.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kAll = ~uint64_t{0};

// [0x1000, 0x2000) and [0x2000, 0x3000) of different blocks, a hole, then read-only [0x4000, 0x5000).
struct TwoBlocksAndRom {
  std::shared_ptr<RamBlock> low = TestRam(0x1000);
  std::shared_ptr<RamBlock> high = TestRam(0x2000);
  std::shared_ptr<RamBlock> rom = TestRam(0x1000);
  GuestMemory memory{{RamRange{0x1000, 0x1000, low, 0, false}, RamRange{0x2000, 0x1000, high, 0x1000, false},
                      RamRange{0x4000, 0x1000, rom, 0, true}}};
};

TEST(GuestMemory, IovecsCoverARangeThatCrossesBlocks) {
  TwoBlocksAndRom t;
  std::vector<iovec> out;
  ASSERT_TRUE(t.memory.ToIovecs(Gpa{0x1f00}, 0x200, Access::kWrite, &out));
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].iov_base, t.low->host() + 0xf00);
  EXPECT_EQ(out[0].iov_len, 0x100U);
  EXPECT_EQ(out[1].iov_base, t.high->host() + 0x1000);
  EXPECT_EQ(out[1].iov_len, 0x100U);
}

TEST(GuestMemory, ABadRangeLeavesTheIovecsAsTheyWere) {
  TwoBlocksAndRom t;
  std::vector<iovec> out(1);
  EXPECT_FALSE(t.memory.ToIovecs(Gpa{0x2f00}, 0x200, Access::kRead, &out));
  EXPECT_FALSE(t.memory.ToIovecs(Gpa{0x0fff}, 2, Access::kRead, &out));
  EXPECT_FALSE(t.memory.ToIovecs(Gpa{0x4000}, 1, Access::kWrite, &out));
  EXPECT_FALSE(t.memory.ToIovecs(Gpa{kAll}, 2, Access::kRead, &out));
  EXPECT_FALSE(t.memory.ToIovecs(Gpa{0x1000}, kAll, Access::kRead, &out));
  EXPECT_EQ(out.size(), 1U);
}

TEST(GuestMemory, RomIsReadAndNotWritten) {
  TwoBlocksAndRom t;
  t.rom->bytes()[0] = std::byte{0x5a};
  uint8_t value = 0;
  EXPECT_TRUE(t.memory.Load(Gpa{0x4000}, &value));
  EXPECT_EQ(value, 0x5a);
  EXPECT_FALSE(t.memory.Store(Gpa{0x4000}, value));
  EXPECT_EQ(t.memory.HostPointer(Gpa{0x4000}, 1, Access::kWrite), nullptr);
}

TEST(GuestMemory, ValuesCrossBlocks) {
  TwoBlocksAndRom t;
  const uint64_t stored = 0x1122334455667788;
  uint64_t loaded = 0;
  EXPECT_TRUE(t.memory.Store(Gpa{0x1ffc}, stored));
  EXPECT_TRUE(t.memory.Load(Gpa{0x1ffc}, &loaded));
  EXPECT_EQ(loaded, stored);
  EXPECT_EQ(t.high->bytes()[0x1000], std::byte{0x44});
}

TEST(GuestMemory, AWriteThatDoesNotFitWritesNothing) {
  TwoBlocksAndRom t;
  EXPECT_FALSE(t.memory.Store(Gpa{0x2ffc}, ~uint64_t{0}));
  EXPECT_EQ(t.high->bytes()[0x1ffc], std::byte{0});
}

TEST(GuestMemory, HostPointerStaysWithinOneBlock) {
  TwoBlocksAndRom t;
  EXPECT_EQ(t.memory.HostPointer(Gpa{0x1000}, 0x1000, Access::kRead), t.low->host());
  EXPECT_EQ(t.memory.HostPointer(Gpa{0x1000}, 0x1001, Access::kRead), nullptr);
  EXPECT_EQ(t.memory.HostPointer(Gpa{0x1fff}, kAll, Access::kRead), nullptr);
}

TEST(GuestMemory, NoBytesAreAlwaysThere) {
  TwoBlocksAndRom t;
  std::vector<iovec> out;
  EXPECT_TRUE(t.memory.ToIovecs(Gpa{0x9000}, 0, Access::kWrite, &out));
  EXPECT_TRUE(out.empty());
}

TEST(GuestMemory, WritesMarkPagesOnlyWhileLogging) {
  TwoBlocksAndRom t;
  EXPECT_TRUE(t.memory.Store(Gpa{0x1000}, uint8_t{1}));
  EXPECT_EQ(t.low->dirty_log(), nullptr);
  t.high->StartDirtyLog();
  EXPECT_TRUE(t.memory.Store(Gpa{0x1ffc}, uint64_t{1}));
  t.memory.MarkDirty(Gpa{0x2800}, 0x10);
  EXPECT_EQ(t.high->dirty_log()->CountSet(), 1U);
  EXPECT_TRUE(t.high->dirty_log()->Test(1));
  t.high->StopDirtyLog();
  EXPECT_TRUE(t.memory.Store(Gpa{0x2000}, uint64_t{1}));
  t.high->StartDirtyLog();
  EXPECT_EQ(t.high->dirty_log()->CountSet(), 0U);
}

TEST(DirtyBitmap, MarksExactlyThePagesTouched) {
  DirtyBitmap bitmap(200);
  bitmap.MarkBytes(63 * 4096 + 4095, 2);
  bitmap.MarkBytes(100 * 4096, 0);
  bitmap.MarkBytes(199 * 4096, kAll);
  bitmap.MarkBytes(200 * 4096, 1);
  EXPECT_TRUE(bitmap.Test(63));
  EXPECT_TRUE(bitmap.Test(64));
  EXPECT_TRUE(bitmap.Test(199));
  EXPECT_EQ(bitmap.CountSet(), 3U);
}

TEST(DirtyBitmap, HarvestMovesBitsOutOnce) {
  DirtyBitmap bitmap(130);
  bitmap.MarkPages(1, 128);
  std::vector<uint64_t> out(3);
  EXPECT_EQ(bitmap.Harvest(0, out), 128U);
  EXPECT_EQ(out[0], ~uint64_t{1});
  EXPECT_EQ(out[1], ~uint64_t{0});
  EXPECT_EQ(out[2], 1U);
  EXPECT_EQ(bitmap.Harvest(0, out), 0U);
}

TEST(DirtyBitmap, MergedWordsAreClippedToTheBlock) {
  DirtyBitmap bitmap(66);
  const std::vector<uint64_t> words = {~uint64_t{0}, ~uint64_t{0}};
  bitmap.MergeWords(64, words);
  EXPECT_EQ(bitmap.CountSet(), 2U);
}

TEST(RamBlock, ABadSizeIsRefused) {
  EXPECT_FALSE(RamBlock::CreateAnonymous("pc.ram", 0, {}).has_value());
  EXPECT_FALSE(RamBlock::CreateAnonymous("pc.ram", 4097, {}).has_value());
  const auto huge = RamBlock::CreateAnonymous("pc.ram", uint64_t{1} << 60, {});
  ASSERT_FALSE(huge.has_value());
  EXPECT_NE(huge.error().message.find("give the VM less memory"), std::string::npos);
}

TEST(RamBlock, LargeBlocksBeginAtAHugePage) {
  const std::shared_ptr<RamBlock> block = TestRam(uint64_t{4} << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block->host()) % (uint64_t{2} << 20), 0U);
  block->bytes().back() = std::byte{1};
}

TEST(DmaSpace, IsEmptyUntilEnabled) {
  DmaSpace dma;
  dma.SetMemory(TestMemory(0x1000));
  uint32_t value = 0;
  EXPECT_FALSE(dma.Read(0, &value, sizeof(value)));
  const uint64_t before = dma.generation();
  dma.SetEnabled(true);
  EXPECT_TRUE(dma.Read(0, &value, sizeof(value)));
  EXPECT_GT(dma.generation(), before);
}

TEST(DmaSpace, TheGenerationGrowsOnlyWithChanges) {
  const std::shared_ptr<const GuestMemory> memory = TestMemory(0x1000);
  DmaSpace dma(memory);
  const uint64_t before = dma.generation();
  dma.SetEnabled(true);
  dma.SetMemory(memory);
  EXPECT_EQ(dma.generation(), before);
  dma.SetMemory(TestMemory(0x1000));
  EXPECT_GT(dma.generation(), before);
}

TEST(DmaSpace, WhoHoldsTheMemoryKeepsItsPages) {
  DmaSpace dma(TestMemory(0x1000));
  const std::shared_ptr<const GuestMemory> pinned = dma.Current();
  dma.SetMemory(TestMemory(0x1000));
  EXPECT_TRUE(pinned->Store(Gpa{0}, uint8_t{1}));
}

}  // namespace
}  // namespace nandu
