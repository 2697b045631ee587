// A queue's doorbell with an eventfd and without, and a device whose host has no eventfds left.
#include "devices/virtio/doorbell.h"

#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <thread>

#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/virtio_features.h"
#include "support/fake_clock.h"
#include "support/fake_virtio_guest.h"
#include "support/few_files.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

class DoorbellTest : public testing::TestWithParam<bool> {
 protected:
  void Listen() {
    watch = bell.Watch(loop, [this] { ++heard; });
  }
  ManualLoop loop;
  Doorbell bell{GetParam() ? UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) : UniqueFd()};
  std::unique_ptr<EventWatch> watch;
  unsigned heard = 0;
};
INSTANTIATE_TEST_SUITE_P(, DoorbellTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "WithAnEventFd" : "Posted"; });

TEST_P(DoorbellTest, RingsManyTimesAndIsHeardOnce) {
  Listen();
  for (int i = 0; i < 100; ++i) {
    bell.Ring();
  }
  loop.RunUntilIdle();
  EXPECT_EQ(heard, 1U);
  bell.Ring();
  loop.RunUntilIdle();
  EXPECT_EQ(heard, 2U);
}

TEST_P(DoorbellTest, WaitsForWhoListensLater) {
  bell.Ring();
  loop.RunUntilIdle();
  Listen();
  loop.RunUntilIdle();
  EXPECT_EQ(heard, 1U);
}

TEST_P(DoorbellTest, WhatAFormerListenerDidNotHearIsTheNextOnes) {
  unsigned former = 0;
  watch = bell.Watch(loop, [&former] { ++former; });
  bell.Ring();
  watch.reset();
  Listen();
  loop.RunUntilIdle();
  EXPECT_EQ(former, 0U);
  EXPECT_EQ(heard, 1U);
}

TEST_P(DoorbellTest, ListenerMayLeaveWhileItListens) {
  watch = bell.Watch(loop, [this] {
    ++heard;
    watch.reset();
  });
  bell.Ring();
  loop.RunUntilIdle();
  bell.Ring();
  loop.RunUntilIdle();
  EXPECT_EQ(heard, 1U);
}

TEST_P(DoorbellTest, RingFromTheListenerIsHeardInTheNextTurn) {
  watch = bell.Watch(loop, [this] {
    if (++heard < 3) {
      bell.Ring();
    }
  });
  bell.Ring();
  loop.RunUntilIdle();
  EXPECT_EQ(heard, 3U);
}

TEST(Doorbell, WithoutAnEventFdIsHeardByARealLoopFromAnotherThread) {
  EngineLoop loop;
  Doorbell bell{UniqueFd()};
  std::atomic<unsigned> heard{0};
  std::unique_ptr<EventWatch> watch = bell.Watch(*loop, [&heard] { ++heard; });
  for (unsigned round = 1; round <= 3; ++round) {
    std::thread ringer([&bell] { bell.Ring(); });
    loop.RunUntil([&] { return heard == round; });
    ringer.join();
  }
  watch.reset();
}

class Ones final : public EntropySource {
 public:
  size_t Fill(std::span<const iovec> into, size_t bytes) override {
    std::memset(into.front().iov_base, 0xff, bytes);
    return bytes;
  }
};

struct GuestWithoutFiles : testing::Test {
  void SetUp() override {
    auto memory = std::make_shared<FakeGuest>(uint64_t{1} << 20);
    const FewFiles few;
    guest = std::make_unique<FakeVirtioGuest>(
        std::move(memory), std::make_unique<RngDevice>(loop, clock, std::make_unique<Ones>(), RngLimit{}));
  }
  void TearDown() override {
    guest->device().Quiesce([] {});
    loop.RunUntilIdle();
    guest.reset();
  }
  void Ask() { sent = guest->ring(0).Chain().Writable(16).Send(); }
  bool Answered() {
    loop.RunUntilIdle();
    return guest->ring(0).NextUsed() == Used{sent.id, 16};
  }
  ManualLoop loop;
  FakeClock clock;
  std::unique_ptr<FakeVirtioGuest> guest;
  SentChain sent;
};

TEST_F(GuestWithoutFiles, ModernKicksAreExitsAndServed) {
  guest->StartModern({});
  Ask();
  guest->Kick(0);
  EXPECT_TRUE(Answered());
  EXPECT_EQ(guest->transport().counters().bells_without_eventfd.value(), 1U);
  EXPECT_EQ(guest->transport().counters().slow_kicks.value(), 1U);
  EXPECT_TRUE(guest->board().memory.view()->events().empty()) << "KVM is given no eventfd";
}

TEST_F(GuestWithoutFiles, LegacyKicksAreExitsAndServed) {
  guest->StartLegacy();
  Ask();
  guest->KickLegacy(0);
  EXPECT_TRUE(Answered());
  EXPECT_EQ(guest->transport().counters().slow_kicks.value(), 1U);
  EXPECT_TRUE(guest->board().io.view()->events().empty());
}

TEST_F(GuestWithoutFiles, KickDuringAPauseIsServedAfterIt) {
  guest->StartModern({});
  guest->device().Quiesce([] {});
  loop.RunUntilIdle();
  Ask();
  guest->Kick(0);
  EXPECT_FALSE(Answered());
  guest->device().Resume();
  EXPECT_TRUE(Answered());
}

}  // namespace
}  // namespace nandu
