#include "memory/ram_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "memory/ram_policy.h"

namespace nandu {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;

UniqueFd Memfd(uint64_t bytes) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  return file;
}

uint64_t ResidentPages(const RamBlock& block) {
  std::vector<unsigned char> pages(block.size() / 4096);
  EXPECT_EQ(mincore(block.host(), block.size(), pages.data()), 0);
  return static_cast<uint64_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

TEST(RamBlock, SharedFileSeesWhatTheGuestWrites) {
  UniqueFd file = Memfd(2 * kMiB);
  const UniqueFd other(dup(file.get()));
  const auto block = RamBlock::CreateFromFile("m", std::move(file), 2 * kMiB, {.shared = true}).value();
  block->bytes()[4097] = std::byte{7};
  std::byte seen{};
  ASSERT_EQ(pread(other.get(), &seen, 1, 4097), 1);
  EXPECT_EQ(seen, std::byte{7});
  EXPECT_TRUE(block->shared());
  EXPECT_GE(block->fd(), 0);
}

TEST(RamBlock, PrivateFileKeepsItsContent) {
  UniqueFd file = Memfd(2 * kMiB);
  const std::byte five{5};
  ASSERT_EQ(pwrite(file.get(), &five, 1, 0), 1);
  const UniqueFd other(dup(file.get()));
  const auto block = RamBlock::CreateFromFile("m", std::move(file), 2 * kMiB, {}).value();
  EXPECT_EQ(block->bytes()[0], five);
  block->bytes()[0] = std::byte{9};
  std::byte seen{};
  ASSERT_EQ(pread(other.get(), &seen, 1, 0), 1);
  EXPECT_EQ(seen, five);
}

TEST(RamBlock, DiscardedFileIsEmptyAfterwards) {
  UniqueFd file = Memfd(2 * kMiB);
  const UniqueFd other(dup(file.get()));
  auto block =
      RamBlock::CreateFromFile("m", std::move(file), 2 * kMiB, {.shared = true, .discard = true}).value();
  block->bytes()[0] = std::byte{9};
  block.reset();
  std::byte seen{1};
  ASSERT_EQ(pread(other.get(), &seen, 1, 0), 1);
  EXPECT_EQ(seen, std::byte{0});
}

TEST(RamBlock, LargeMemoryIsSparseAndBeginsAtAHugePage) {
  const auto block = RamBlock::CreateAnonymous("m", uint64_t{256} << 30, {}).value();
  EXPECT_EQ(reinterpret_cast<uint64_t>(block->host()) % (2 * kMiB), 0U);
  block->bytes()[(uint64_t{256} << 30) - 1] = std::byte{1};
}

TEST(RamBlock, SizeMustBeWholePages) {
  const auto block = RamBlock::CreateAnonymous("pc.ram", 4097, {});
  ASSERT_FALSE(block.has_value());
  EXPECT_THAT(block.error().message, HasSubstr("pc.ram: 4097 bytes is not a multiple"));
}

TEST(Prefault, EveryPageIsThere) {
  const auto block = RamBlock::CreateAnonymous("m", 8 * kMiB, {.huge_pages = false}).value();
  EXPECT_EQ(ResidentPages(*block), 0U);
  ASSERT_TRUE(Prefault(*block, 3).has_value());
  EXPECT_EQ(ResidentPages(*block), 8 * kMiB / 4096);
}

TEST(Prefault, MoreThanTheFileHoldsIsAnError) {
  const auto block = RamBlock::CreateFromFile("short", Memfd(kMiB), 2 * kMiB, {.shared = true}).value();
  const Result<> done = Prefault(*block, 1);
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().message, HasSubstr("short: cannot preallocate 2 MiB"));
}

TEST(NumaPolicy, NodesAndPolicyGoTogether) {
  const auto block = RamBlock::CreateAnonymous("m", kMiB, {}).value();
  const unsigned first[] = {0};
  const unsigned far[] = {5000};
  EXPECT_TRUE(SetNumaPolicy(*block, NumaPolicy::kDefault, {}).has_value());
  EXPECT_THAT(SetNumaPolicy(*block, NumaPolicy::kDefault, first).error().message,
              HasSubstr("needs a policy="));
  EXPECT_THAT(SetNumaPolicy(*block, NumaPolicy::kBind, {}).error().message, HasSubstr("needs host-nodes="));
  EXPECT_THAT(SetNumaPolicy(*block, NumaPolicy::kBind, far).error().message, HasSubstr("no host node 5000"));
}

}  // namespace
}  // namespace nandu
