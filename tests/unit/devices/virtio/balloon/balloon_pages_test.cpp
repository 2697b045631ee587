// What a driver names, and what the host gets back of it.
#include "devices/virtio/balloon/balloon_pages.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <linux/memfd.h>
#include <numeric>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/virtio/balloon/balloon_wire.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

using balloon::kPageBytes;

constexpr uint64_t kHuge = uint64_t{2} << 20;
constexpr uint32_t kPagesPerHuge = kHuge / kPageBytes;

std::vector<uint32_t> Pages(uint32_t first, uint32_t count) {
  std::vector<uint32_t> pages(count);
  std::iota(pages.begin(), pages.end(), first);
  return pages;
}

struct BalloonPagesTest : testing::Test {
  BalloonPagesTest() { std::ranges::fill(block->bytes(), std::byte{7}); }
  bool Gone(uint64_t page) const { return block->host()[page * kPageBytes] == std::byte{0}; }

  BalloonCounters counters;
  BalloonPages pages{counters};
  std::shared_ptr<RamBlock> block = TestRam(64 * kPageBytes);
  std::shared_ptr<RamBlock> rom = TestRam(kPageBytes);
  GuestMemory memory{{{0, 64 * kPageBytes, block, 0, false}, {64 * kPageBytes, kPageBytes, rom, 0, true}}};
};

TEST_F(BalloonPagesTest, NeighboursGoTogether) {
  EXPECT_LT(pages.Inflate(memory, Pages(8, 16)), 2 * BalloonPages::kCostPerCall + 16);
  EXPECT_FALSE(Gone(7));
  EXPECT_TRUE(Gone(8));
  EXPECT_TRUE(Gone(23));
  EXPECT_FALSE(Gone(24));
  EXPECT_EQ(counters.given_back_bytes.value(), 16 * kPageBytes);
}

TEST_F(BalloonPagesTest, NeighboursFromTheTopDownGoTogether) {
  std::vector<uint32_t> down = Pages(8, 16);
  std::ranges::reverse(down);
  EXPECT_LT(pages.Inflate(memory, down), 2 * BalloonPages::kCostPerCall + 16);
  EXPECT_TRUE(Gone(8));
  EXPECT_TRUE(Gone(23));
  EXPECT_EQ(counters.given_back_bytes.value(), 16 * kPageBytes);
}

TEST_F(BalloonPagesTest, ScatteredPagesCostACallEach) {
  EXPECT_GE(pages.Inflate(memory, std::vector<uint32_t>{1, 9, 5, 3}), 4 * BalloonPages::kCostPerCall);
  EXPECT_TRUE(Gone(1) && Gone(9) && Gone(5) && Gone(3));
  EXPECT_FALSE(Gone(2));
}

TEST_F(BalloonPagesTest, WhatIsNoRamIsCountedAndTheRestGoes) {
  pages.Inflate(memory, std::vector<uint32_t>{62, 63, 64, 65, 0xffffffff});
  EXPECT_TRUE(Gone(62) && Gone(63));
  EXPECT_EQ(rom->host()[0], std::byte{0});  // as it was
  EXPECT_EQ(counters.bad_pages.value(), 3U);
  EXPECT_EQ(counters.given_back_bytes.value(), 2 * kPageBytes);
}

TEST_F(BalloonPagesTest, APageNamedTwiceIsGivenBackTwice) {
  pages.Inflate(memory, std::vector<uint32_t>{5, 5, 5});
  EXPECT_TRUE(Gone(5));
  EXPECT_FALSE(Gone(6));
  EXPECT_EQ(counters.given_back_bytes.value(), 3 * kPageBytes);
}

TEST_F(BalloonPagesTest, LockedPagesAreKept) {
  // Not through mlock(3), which does nothing under AddressSanitizer.
  ASSERT_EQ(syscall(SYS_mlock, block->host(), kPageBytes), 0);
  pages.Inflate(memory, Pages(0, 3));
  EXPECT_FALSE(Gone(0));
  EXPECT_TRUE(Gone(1) && Gone(2));
  EXPECT_EQ(counters.kept_pages.value(), 1U);
}

TEST_F(BalloonPagesTest, AReportGoesInPieces) {
  const auto large = TestRam(uint64_t{40} << 20);
  const GuestMemory guest({{0, large->size(), large, 0, false}});
  int64_t cost = 0;
  uint64_t done = 0;
  unsigned turns = 0;
  while (done < large->size()) {
    done += pages.Report(guest, Gpa{done}, large->size() - done, DiscardedReads::kZeroes, &cost);
    ++turns;
  }
  EXPECT_EQ(done, large->size());
  EXPECT_EQ(turns, 3U);
  EXPECT_EQ(counters.given_back_bytes.value(), large->size());
  EXPECT_GE(cost, static_cast<int64_t>(large->size() / kPageBytes));
}

TEST_F(BalloonPagesTest, AReportOfLessThanAPageIsKept) {
  int64_t cost = 0;
  EXPECT_EQ(pages.Report(memory, Gpa{100}, 600, DiscardedReads::kZeroes, &cost), 600U);
  EXPECT_EQ(pages.Report(memory, Gpa{65 * kPageBytes}, 1, DiscardedReads::kZeroes, &cost), 1U);
  EXPECT_FALSE(Gone(0));
  EXPECT_EQ(counters.kept_pages.value(), 1U);
  EXPECT_EQ(counters.bad_pages.value(), 1U);
  EXPECT_EQ(cost, 2 * BalloonPages::kCostPerCall);
}

// Nothing is stored in these: the host need not have a huge page to spare.
struct LargeHostPages : testing::Test {
  LargeHostPages() {
    UniqueFd file(memfd_create("test", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB));
    EXPECT_EQ(ftruncate(file.get(), 4 * kHuge), 0);
    auto made = RamBlock::CreateFromFile("huge", std::move(file), 4 * kHuge, {.shared = true});
    memory = std::make_unique<GuestMemory>(
        std::vector<RamRange>{{0, 4 * kHuge, std::move(made).value(), 0, false}});
  }
  uint64_t given_back() const { return counters.given_back_bytes.value(); }

  BalloonCounters counters;
  BalloonPages pages{counters};
  std::unique_ptr<GuestMemory> memory;
};

TEST_F(LargeHostPages, OneGoesOnceAllOfItWasNamed) {
  pages.Inflate(*memory, Pages(0, kPagesPerHuge - 1));
  pages.Inflate(*memory, std::vector<uint32_t>{0, 1, 2});
  EXPECT_EQ(given_back(), 0U);
  pages.Inflate(*memory, std::vector<uint32_t>{kPagesPerHuge - 1});
  EXPECT_EQ(given_back(), kHuge);
  pages.EndInflation();
  EXPECT_EQ(counters.kept_pages.value(), 0U);
}

TEST_F(LargeHostPages, TheRequestsEndForgetsWhatWasNamed) {
  pages.Inflate(*memory, Pages(0, kPagesPerHuge - 1));
  pages.EndInflation();
  EXPECT_EQ(counters.kept_pages.value(), kPagesPerHuge - 1);
  pages.Inflate(*memory, std::vector<uint32_t>{kPagesPerHuge - 1});
  pages.EndInflation();
  EXPECT_EQ(given_back(), 0U);
  EXPECT_EQ(counters.kept_pages.value(), kPagesPerHuge);
}

TEST_F(LargeHostPages, AnotherPageForgetsTheFirst) {
  pages.Inflate(*memory, std::vector<uint32_t>{0, 3 * kPagesPerHuge});
  pages.Inflate(*memory, Pages(1, kPagesPerHuge - 1));
  pages.EndInflation();
  EXPECT_EQ(given_back(), 0U);
  EXPECT_EQ(counters.kept_pages.value(), kPagesPerHuge + 1);
}

TEST_F(LargeHostPages, AReportIsNotCutWithinOne) {
  int64_t cost = 0;
  EXPECT_EQ(pages.Report(*memory, Gpa{kPageBytes}, kPageBytes, DiscardedReads::kZeroes, &cost), kPageBytes);
  EXPECT_EQ(given_back(), 0U);
  EXPECT_EQ(pages.Report(*memory, Gpa{kHuge}, 2 * kHuge, DiscardedReads::kZeroes, &cost), 2 * kHuge);
  EXPECT_EQ(given_back(), 2 * kHuge);
}

}  // namespace
}  // namespace nandu
