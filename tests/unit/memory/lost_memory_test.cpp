// Guest memory whose file was truncated: accesses go on, and say that they met it.
#include "base/lost_memory.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>

#include "memory/guest_memory.h"
#include "support/forged_poison.h"

namespace nandu {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBytes = 16 * kPage;

struct LostMemoryTest : testing::Test {
  LostMemoryTest() {
    EXPECT_TRUE(LostMemory::Install(event.get()));
    UniqueFd memory(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(kBytes)), 0);
    file = UniqueFd(::dup(memory.get()));
    block = RamBlock::CreateFromFile("m", std::move(memory), kBytes, {.shared = true}).value();
    guest = std::make_unique<GuestMemory>(std::vector<RamRange>{{0, kBytes, block, 0, false}});
  }
  ~LostMemoryTest() override { EXPECT_TRUE(LostMemory::Install(-1)); }

  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  UniqueFd file;
  std::shared_ptr<RamBlock> block;
  std::unique_ptr<GuestMemory> guest;
};

TEST_F(LostMemoryTest, ReadsAndWritesOfALostPageFailAndOthersDoNot) {
  const uint64_t before = LostMemory::count();
  ASSERT_TRUE(guest->Store<uint64_t>(Gpa{0}, 7));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(kPage)), 0);

  uint64_t value = 0;
  EXPECT_FALSE(guest->Load(Gpa{2 * kPage}, &value));
  EXPECT_FALSE(guest->Store(Gpa{3 * kPage}, value));
  EXPECT_TRUE(guest->Load(Gpa{0}, &value));
  EXPECT_EQ(value, 7U);

  EXPECT_EQ(LostMemory::count(), before + 2);
  EXPECT_EQ(LostMemory::newest(), block->host() + 3 * kPage);
  eventfd_t told = 0;
  EXPECT_EQ(::eventfd_read(event.get(), &told), 0);
  EXPECT_EQ(told, 2U);
  std::array<std::byte, 64> bytes{};
  EXPECT_FALSE(guest->Read(Gpa{5 * kPage - 32}, bytes.data(), bytes.size())) << "across two lost pages";
}

TEST_F(LostMemoryTest, EachThreadKnowsWhatItMet) {
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  const uint64_t mine = LostMemory::MetByThisThread();
  std::thread other([&] {
    const volatile std::byte* const lost = block->host();
    const std::byte seen = *lost;
    EXPECT_EQ(seen, std::byte{0});
    EXPECT_EQ(LostMemory::MetByThisThread(), 1U);
  });
  other.join();
  EXPECT_EQ(LostMemory::MetByThisThread(), mine);
}

TEST_F(LostMemoryTest, BrokenPageIsKeptForTheThreadThatIsInTheGuest) {
  const std::byte* const page = block->host() + 2 * kPage;
  const uint64_t before = LostMemory::count();
  LostMemory::EnterGuest();
  ForgePoison(::gettid(), BUS_MCEERR_AO, page + kPage);
  ForgePoison(::gettid(), BUS_MCEERR_AR, page);
  ForgePoison(::gettid(), BUS_MCEERR_AO, page + kPage);
  const std::optional<PoisonedMemory> met = LostMemory::LeaveGuest();
  ASSERT_TRUE(met.has_value());
  EXPECT_EQ(met->at, page) << "what was used comes before what was found";
  EXPECT_EQ(met->kind, PoisonedMemory::Kind::kUsed);
  EXPECT_EQ(LostMemory::count(), before) << "the page is the guest's to hear of";
  LostMemory::EnterGuest();
  EXPECT_FALSE(LostMemory::LeaveGuest().has_value());
}

TEST_F(LostMemoryTest, BrokenPageThatNobodyUsedIsToldOnce) {
  ForgePoison(::gettid(), BUS_MCEERR_AO, block->host() + kPage);
  eventfd_t told = 0;
  EXPECT_EQ(::eventfd_read(event.get(), &told), 0);
  EXPECT_EQ(LostMemory::TakeFound(), block->host() + kPage);
  EXPECT_EQ(LostMemory::TakeFound(), nullptr);
}

TEST_F(LostMemoryTest, BrokenPageThatADeviceUsesIsLost) {
  const uint64_t before = LostMemory::count();
  ForgePoison(::gettid(), BUS_MCEERR_AR, block->host() + kPage);
  EXPECT_EQ(LostMemory::count(), before + 1);
}

TEST_F(LostMemoryTest, RenewedPageWorks) {
  ASSERT_TRUE(guest->Store<uint64_t>(Gpa{kPage}, 7));
  EXPECT_TRUE(LostMemory::Renew(block->host() + kPage + 8));
  uint64_t value = 1;
  EXPECT_TRUE(guest->Load(Gpa{kPage}, &value));
  EXPECT_EQ(value, 0U);
  EXPECT_FALSE(LostMemory::Renew(&value)) << "it is no memory of a guest";
}

TEST(LostMemoryDeathTest, WhatIsNobodysMemoryEndsTheProcessAsEver) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  void* const mapped = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EXIT(
      {
        (void)LostMemory::Install(-1);
        const volatile char byte = *static_cast<volatile char*>(mapped);
        std::exit(byte);
      },
      testing::KilledBySignal(SIGBUS), "");
  ::munmap(mapped, kPage);
}

}  // namespace
}  // namespace nandu
