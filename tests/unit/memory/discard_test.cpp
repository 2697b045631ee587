// Guest memory that is given back to the host.
#include <algorithm>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "memory/guest_memory.h"
#include "memory/ram_discard.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kPage = 4096;
constexpr auto kAnything = DiscardedReads::kAnything;

std::shared_ptr<RamBlock> FileRam(uint64_t bytes, unsigned memfd_flags, const RamBlock::Options& options) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC | memfd_flags));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  return RamBlock::CreateFromFile("test.ram", std::move(file), bytes, options).value();
}

// `block` at guest address `base`.
GuestMemory At(uint64_t base, const std::shared_ptr<RamBlock>& block, bool readonly = false) {
  return GuestMemory({RamRange{base, block->size(), block, 0, readonly}});
}

uint64_t ResidentPages(const RamBlock& block) {
  std::vector<unsigned char> pages(block.size() / kPage);
  EXPECT_EQ(mincore(block.host(), block.size(), pages.data()), 0);
  return static_cast<uint64_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

std::byte First(const RamBlock& block, uint64_t page) { return block.host()[page * kPage]; }

TEST(Discard, PagesAreGoneAndReadAsZeroes) {
  const auto block = TestRam(16 * kPage);
  const GuestMemory memory = At(0x100000, block);
  std::ranges::fill(block->bytes(), std::byte{7});
  EXPECT_EQ(memory.Discard(Gpa{0x102000}, 3 * kPage, kAnything), 3 * kPage);
  EXPECT_EQ(ResidentPages(*block), 13U);
  EXPECT_EQ(First(*block, 1), std::byte{7});
  EXPECT_EQ(First(*block, 2), std::byte{0});
  EXPECT_EQ(First(*block, 5), std::byte{7});
}

TEST(Discard, OnlyPagesThatLieInTheRangeAsAWholeGo) {
  const auto block = TestRam(4 * kPage);
  const GuestMemory memory = At(0, block);
  std::ranges::fill(block->bytes(), std::byte{7});
  EXPECT_EQ(memory.Discard(Gpa{100}, 3 * kPage, kAnything), 2 * kPage);
  EXPECT_EQ(memory.Discard(Gpa{1}, kPage - 1, kAnything), 0U);
  EXPECT_EQ(memory.Discard(Gpa{0}, 0, kAnything), 0U);
  EXPECT_EQ(First(*block, 0), std::byte{7});
  EXPECT_EQ(First(*block, 1), std::byte{0});
  EXPECT_EQ(First(*block, 3), std::byte{7});
}

TEST(Discard, ARangeWithAHoleOrRomChangesNothing) {
  const auto low = TestRam(kPage);
  const auto high = TestRam(kPage);
  const auto rom = TestRam(kPage);
  const GuestMemory memory(
      {{0, kPage, low, 0, false}, {2 * kPage, kPage, high, 0, false}, {3 * kPage, kPage, rom, 0, true}});
  low->bytes()[0] = high->bytes()[0] = rom->bytes()[0] = std::byte{7};
  EXPECT_EQ(memory.Discard(Gpa{0}, 3 * kPage, kAnything), std::nullopt);
  EXPECT_EQ(memory.Discard(Gpa{2 * kPage}, 2 * kPage, kAnything), std::nullopt);
  EXPECT_EQ(memory.Discard(Gpa{3 * kPage}, kPage, kAnything), std::nullopt);
  EXPECT_EQ(memory.Discard(Gpa{kPage}, kPage, kAnything), std::nullopt);
  EXPECT_EQ(memory.Discard(Gpa{~uint64_t{0}}, 2, kAnything), std::nullopt);
  EXPECT_EQ(First(*low, 0), std::byte{7});
  EXPECT_EQ(First(*high, 0), std::byte{7});
}

TEST(Discard, ReachesOverBlocks) {
  const auto low = TestRam(2 * kPage);
  const auto high = TestRam(4 * kPage);
  const GuestMemory memory({{0, 2 * kPage, low, 0, false}, {2 * kPage, 2 * kPage, high, 2 * kPage, false}});
  std::ranges::fill(low->bytes(), std::byte{7});
  std::ranges::fill(high->bytes(), std::byte{7});
  EXPECT_EQ(memory.Discard(Gpa{kPage}, 2 * kPage, kAnything), 2 * kPage);
  EXPECT_EQ(First(*low, 1), std::byte{0});
  EXPECT_EQ(First(*high, 2), std::byte{0});
  EXPECT_EQ(First(*high, 3), std::byte{7});
}

TEST(Discard, IsDirty) {
  const auto block = TestRam(4 * kPage);
  block->StartDirtyLog();
  EXPECT_EQ(At(0, block).Discard(Gpa{kPage}, kPage, kAnything), kPage);
  EXPECT_EQ(block->dirty_log()->CountSet(), 1U);
  EXPECT_TRUE(block->dirty_log()->Test(1));
}

TEST(Discard, SharedMemoryGetsAHole) {
  const auto block = FileRam(4 * kPage, 0, {.shared = true});
  std::ranges::fill(block->bytes(), std::byte{7});
  struct stat before {};
  struct stat after {};
  ASSERT_EQ(fstat(block->fd(), &before), 0);
  EXPECT_EQ(At(0, block).Discard(Gpa{kPage}, 2 * kPage, DiscardedReads::kZeroes), 2 * kPage);
  ASSERT_EQ(fstat(block->fd(), &after), 0);
  EXPECT_EQ(before.st_blocks - after.st_blocks, static_cast<blkcnt_t>(2 * kPage / 512));
  EXPECT_EQ(First(*block, 1), std::byte{0});
}

TEST(Discard, SharedAnonymousMemoryGetsAHole) {
  const auto block = RamBlock::CreateAnonymous("test.ram", 4 * kPage, {.shared = true}).value();
  std::ranges::fill(block->bytes(), std::byte{7});
  EXPECT_EQ(At(0, block).Discard(Gpa{kPage}, kPage, DiscardedReads::kZeroes), kPage);
  EXPECT_EQ(First(*block, 1), std::byte{0});
  EXPECT_EQ(First(*block, 2), std::byte{7});
}

TEST(Discard, APrivateFilesPageStaysWhereZeroesArePromised) {
  const auto block = FileRam(4 * kPage, 0, {});
  const std::byte five{5};
  ASSERT_EQ(pwrite(block->fd(), &five, 1, 0), 1);
  block->bytes()[0] = std::byte{7};
  EXPECT_EQ(At(0, block).Discard(Gpa{0}, kPage, DiscardedReads::kZeroes), 0U);
  EXPECT_EQ(First(*block, 0), std::byte{7});
  EXPECT_EQ(At(0, block).Discard(Gpa{0}, kPage, kAnything), kPage);
  EXPECT_EQ(First(*block, 0), five);
}

TEST(Discard, LockedMemoryIsKept) {
  const auto block = TestRam(4 * kPage);
  block->bytes()[0] = std::byte{7};
  // Not through mlock(3), which does nothing under AddressSanitizer.
  ASSERT_EQ(syscall(SYS_mlock, block->host(), block->size()), 0);
  EXPECT_EQ(At(0, block).Discard(Gpa{0}, kPage, kAnything), 0U);
  EXPECT_EQ(First(*block, 0), std::byte{7});
}

TEST(HostPage, CountsFromTheBlocksStart) {
  constexpr uint64_t kHuge = uint64_t{2} << 20;
  const auto block = FileRam(2 * kHuge, MFD_HUGETLB, {.shared = true});
  const auto small = TestRam(kPage);
  const GuestMemory memory({{0x1000, kHuge, block, 0x3000, false}, {kHuge * 4, kPage, small, 0, false}});
  // What lies at guest address 0x1000 is 0x3000 bytes into its page: the page's beginning is not the guest's.
  EXPECT_FALSE(memory.FindHostPage(Gpa{0x1000}).has_value());
  const std::optional<HostPage> second = memory.FindHostPage(Gpa{kHuge});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->base.v, kHuge - 0x2000);
  EXPECT_EQ(second->bytes, kHuge);
  EXPECT_EQ(memory.FindHostPage(Gpa{kHuge * 4})->bytes, kPage);
  EXPECT_FALSE(memory.FindHostPage(Gpa{kHuge * 4 + kPage}).has_value());
}

}  // namespace
}  // namespace nandu
