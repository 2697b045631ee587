#include "memory/address_space.h"

#include <gtest/gtest.h>
#include <thread>

#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kAll = ~uint64_t{0};

class FakeBarrier final : public VcpuBarrier {
 public:
  void Enter() override {
    entered++;
    inside = true;
  }
  void Leave() override { inside = false; }
  int entered = 0;
  bool inside = false;
};

class FakeListener final : public FlatViewListener {
 public:
  explicit FakeListener(FakeBarrier* barrier = nullptr) : barrier_(barrier) {}
  void Commit(const FlatView* from, const FlatView& to) override {
    commits++;
    first = from == nullptr;
    ranges = to.ranges().size();
    outside_kvm = barrier_ != nullptr && barrier_->inside;
  }
  int commits = 0;
  bool first = false;
  bool outside_kvm = false;
  size_t ranges = 0;

 private:
  FakeBarrier* barrier_;
};

TEST(AddressSpace, AMappingIsThereUntilItIsDropped) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  {
    const Mapping mapping = space.Map(0x1000, Region::Io(handler, 0x100)).value();
    EXPECT_EQ(space.Read(0x1004, 4), 0x07060504U);
  }
  EXPECT_EQ(space.Read(0x1004, 4), 0xffffffffU);
  EXPECT_EQ(handler->reads.size(), 1U);
}

TEST(AddressSpace, ATransactionPublishesOnce) {
  AddressSpace space("memory", kAll);
  FakeBarrier barrier;
  FakeListener listener(&barrier);
  space.SetBarrier(&barrier);
  space.AddListener(&listener);
  EXPECT_TRUE(listener.first);
  const auto handler = std::make_shared<FakeIoHandler>();
  const uint64_t before = space.generation();
  Mapping one;
  Mapping two;
  {
    const AddressSpace::Transaction outer(space);
    one = space.Map(0x1000, Region::Io(handler, 0x10)).value();
    {
      const AddressSpace::Transaction inner(space);
      two = space.Map(0x2000, Region::Io(handler, 0x10)).value();
    }
    EXPECT_EQ(space.generation(), before);
  }
  EXPECT_EQ(space.generation(), before + 1);
  EXPECT_EQ(listener.commits, 2);
  EXPECT_EQ(listener.ranges, 2U);
  EXPECT_TRUE(listener.outside_kvm);
  EXPECT_FALSE(barrier.inside);
  space.RemoveListener(&listener);
}

TEST(AddressSpace, AChangeThatAltersNothingStopsNobody) {
  AddressSpace space("memory", kAll);
  FakeBarrier barrier;
  space.SetBarrier(&barrier);
  const auto handler = std::make_shared<FakeIoHandler>();
  Mapping mapping = space.Map(0x1000, Region::Io(handler, 0x10), 0, false).value();
  const uint64_t before = space.generation();
  mapping.Move(0x2000);
  mapping.SetEnabled(false);
  EXPECT_EQ(space.generation(), before);
  EXPECT_EQ(barrier.entered, 0);
}

TEST(AddressSpace, MemoryAndPortsCommitInOneStop) {
  AddressSpace memory("memory", kAll);
  AddressSpace io("io", 65536);
  FakeBarrier barrier;
  memory.SetBarrier(&barrier);
  io.SetBarrier(&barrier);
  const auto handler = std::make_shared<FakeIoHandler>();
  Mapping high;
  Mapping port;
  {
    const AddressSpace::Transaction transaction;
    high = memory.Map(0xfe000000, Region::Io(handler, 0x1000)).value();
    port = io.Map(0xc000, Region::Io(handler, 0x20)).value();
  }
  EXPECT_EQ(barrier.entered, 1);
  EXPECT_EQ(memory.generation(), 1U);
  EXPECT_EQ(io.generation(), 1U);
}

TEST(AddressSpace, WhatDoesNotFitIsRefused) {
  AddressSpace io("io", 65536);
  const auto handler = std::make_shared<FakeIoHandler>();
  EXPECT_FALSE(io.Map(0xfff8, Region::Io(handler, 16)).has_value());
  EXPECT_FALSE(io.Map(kAll, Region::Io(handler, 16)).has_value());
  EXPECT_TRUE(io.Map(0xfff0, Region::Io(handler, 16)).has_value());
}

TEST(AddressSpace, AMoveOutOfTheSpaceUnmapsAndAMoveBackMaps) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  Mapping mapping = space.Map(0x1000, Region::Io(handler, 0x1000)).value();
  mapping.Move(kAll - 0xfff);
  EXPECT_TRUE(space.view()->ranges().empty());
  mapping.Move(0x5000);
  EXPECT_EQ(space.view()->ranges().at(0).base, 0x5000U);
}

TEST(AddressSpace, AnAccessAcrossRangesIsSplitBytewise) {
  AddressSpace space("memory", kAll);
  const auto left = std::make_shared<FakeIoHandler>();
  const auto right = std::make_shared<FakeIoHandler>();
  const Mapping a = space.Map(0x1000, Region::Io(left, 0x10)).value();
  const Mapping b = space.Map(0x1010, Region::Io(right, 0x10)).value();
  EXPECT_EQ(space.Read(0x100e, 4), 0x01000f0eU);
  EXPECT_EQ(space.Write(0x100e, 4, 0xddccbbaa).token(), nullptr);
  EXPECT_EQ(left->writes, (std::vector<FakeIoHandler::Done>{{0xe, 1, 0xaa}, {0xf, 1, 0xbb}}));
  EXPECT_EQ(right->writes, (std::vector<FakeIoHandler::Done>{{0, 1, 0xcc}, {1, 1, 0xdd}}));
}

TEST(AddressSpace, AnAccessThatEndsInNothingReadsOnesThereAndIsCounted) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  const Mapping mapping = space.Map(0x1000, Region::Io(handler, 0x10)).value();
  EXPECT_EQ(space.Read(0x100f, 2), 0xff0fU);
  EXPECT_EQ(space.unassigned().value(), 1U);
  EXPECT_EQ(space.Write(0x5000, 8, 1).token(), nullptr);
  EXPECT_EQ(space.unassigned().value(), 9U);
}

TEST(AddressSpace, AnAccessPastTheTopDoesNotWrapToZero) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  const Mapping mapping = space.Map(0, Region::Io(handler, 0x10)).value();
  EXPECT_EQ(space.Read(kAll - 1, 8), kAll);
  EXPECT_EQ(space.Write(kAll - 1, 8, 0).token(), nullptr);
  EXPECT_TRUE(handler->writes.empty());
  EXPECT_TRUE(handler->reads.empty());
}

TEST(AddressSpace, OddWidthsReachAHandlerBytewiseAndRamWhole) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  const std::shared_ptr<RamBlock> block = TestRam(0x1000);
  const Mapping io = space.Map(0x1000, Region::Io(handler, 0x10)).value();
  const Mapping ram = space.Map(0x2000, Region::Ram(block, 0, 0x1000)).value();
  EXPECT_EQ(space.Read(0x1001, 3), 0x030201U);
  EXPECT_EQ(handler->reads.size(), 3U);
  EXPECT_EQ(space.Write(0x2001, 5, 0x1122334455).token(), nullptr);
  EXPECT_EQ(space.Read(0x2001, 5), 0x1122334455U);
  EXPECT_EQ(space.Read(0x2000, 8), 0x112233445500U);
}

TEST(AddressSpace, WritesToRomAreDroppedAndCounted) {
  AddressSpace space("memory", kAll);
  const std::shared_ptr<RamBlock> block = TestRam(0x1000);
  Mapping rom = space.Map(0, Region::Rom(block, 0, 0x1000)).value();
  EXPECT_EQ(space.Write(0x10, 4, 0x1234).token(), nullptr);
  EXPECT_EQ(space.Read(0x10, 4), 0U);
  EXPECT_EQ(space.rom_writes().value(), 1U);
  rom.SetReadonly(false);
  EXPECT_EQ(space.Write(0x10, 4, 0x1234).token(), nullptr);
  EXPECT_EQ(space.Read(0x10, 4), 0x1234U);
}

TEST(AddressSpace, AWriteThatParksInPartIsParkedUntilEveryPartIsOver) {
  AddressSpace space("memory", kAll);
  const auto left = std::make_shared<FakeIoHandler>();
  const auto right = std::make_shared<FakeIoHandler>();
  left->park = std::make_shared<ParkedExit>();
  right->park = std::make_shared<ParkedExit>();
  const Mapping a = space.Map(0x1000, Region::Io(left, 0x10)).value();
  const Mapping b = space.Map(0x1010, Region::Io(right, 0x10)).value();
  const ExitDone done = space.Write(0x100f, 2, 0);
  ASSERT_NE(done.token(), nullptr);
  left->park->Signal();
  EXPECT_FALSE(done.token()->signalled());
  right->park->Signal();
  EXPECT_TRUE(done.token()->signalled());
}

TEST(AddressSpace, EventsFollowTheirMapping) {
  AddressSpace space("memory", kAll);
  const auto handler = std::make_shared<FakeIoHandler>();
  Mapping mapping = space.Map(0x1000, Region::Io(handler, 0x10)).value();
  mapping.SetEvents({IoEvent{.offset = 4, .size = 2, .match = 1, .fd = 9}});
  EXPECT_EQ(space.view()->events(), (std::vector<FlatIoEvent>{{0x1004, 2, 1, 9}}));
  mapping.Move(0x3000);
  EXPECT_EQ(space.view()->events(), (std::vector<FlatIoEvent>{{0x3004, 2, 1, 9}}));
  mapping.SetEnabled(false);
  EXPECT_TRUE(space.view()->events().empty());
}

TEST(AddressSpace, AReaderOfAnOldViewKeepsItsHandlerAlive) {
  AddressSpace space("memory", kAll);
  std::weak_ptr<FakeIoHandler> watched;
  Mapping mapping;
  {
    const auto handler = std::make_shared<FakeIoHandler>();
    watched = handler;
    mapping = space.Map(0x1000, Region::Io(handler, 0x10)).value();
  }
  std::shared_ptr<const FlatView> old = space.view();
  mapping = Mapping();
  EXPECT_FALSE(watched.expired());
  old.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(AddressSpace, ReadersSeeWholeViewsWhileOthersCommit) {
  AddressSpace space("memory", kAll);
  const std::shared_ptr<RamBlock> block = TestRam(0x2000);
  block->bytes()[0] = std::byte{1};
  block->bytes()[0x1000] = std::byte{2};
  // Two windows that always change together: a reader never sees one of them only.
  Mapping low = space.Map(0x10000, Region::Ram(block, 0, 0x1000)).value();
  Mapping high = space.Map(0x20000, Region::Ram(block, 0x1000, 0x1000)).value();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> torn{0};
  const auto read = [&] {
    FlatViewCache cache(space);
    while (!stop) {
      const FlatView& view = cache.Get();
      torn += (view.Find(0x10000) == nullptr) != (view.Find(0x20000) == nullptr) ? 1U : 0U;
      torn += cache.Read(0x30000, 4) != 0xffffffffU ? 1U : 0U;
    }
  };
  const auto commit = [&] {
    for (int i = 0; i < 500; i++) {
      const AddressSpace::Transaction transaction(space);
      low.SetEnabled(i % 2 != 0);
      high.SetEnabled(i % 2 != 0);
    }
  };
  std::thread reader_one(read);
  std::thread reader_two(read);
  std::thread writer_one(commit);
  std::thread writer_two(commit);
  writer_one.join();
  writer_two.join();
  stop = true;
  reader_one.join();
  reader_two.join();
  EXPECT_EQ(torn, 0U);
  EXPECT_EQ(space.Read(0x10000, 1), 1U);
  EXPECT_EQ(space.Read(0x20000, 1), 2U);
}

// ---- ROM devices ----

struct RomDevice : testing::Test {
  AddressSpace space{"memory", kAll};
  std::shared_ptr<RamBlock> block = TestRam(0x2000);
  std::shared_ptr<FakeIoHandler> handler = std::make_shared<FakeIoHandler>();
  Mapping mapping = space.Map(0x10000, Region::RomDevice(block, 0x2000, handler)).value();

  void SetUp() override { block->host()[0x1004] = std::byte{0x77}; }
};

TEST_F(RomDevice, IsReadAsMemoryAndWrittenAsADevice) {
  EXPECT_EQ(space.Read(0x11004, 1), 0x77U);
  EXPECT_EQ(space.Write(0x11004, 2, 0x1234).token(), nullptr);
  EXPECT_EQ(space.Read(0x11004, 1), 0x77U);
  ASSERT_EQ(handler->writes.size(), 1U);
  EXPECT_EQ(handler->writes[0], (FakeIoHandler::Done{0x1004, 2, 0x1234}));
  EXPECT_TRUE(handler->reads.empty());
  EXPECT_EQ(space.rom_writes().value(), 0U);
}

TEST_F(RomDevice, OutOfItsMemoryModeItIsADeviceAltogether) {
  mapping.SetRomMode(false);
  EXPECT_EQ(space.Read(0x11004, 2), 0x0504U);
  EXPECT_EQ(space.view()->memory()->ranges().size(), 0U);
  mapping.SetRomMode(true);
  EXPECT_EQ(space.Read(0x11004, 1), 0x77U);
  ASSERT_EQ(space.view()->memory()->ranges().size(), 1U);
  EXPECT_TRUE(space.view()->memory()->ranges()[0].readonly);
}

TEST_F(RomDevice, WritesOfAnOddWidthReachItByteByByte) {
  (void)space.Write(0x10000, 3, 0x030201);
  EXPECT_EQ(handler->writes.size(), 3U);
}

}  // namespace
}  // namespace nandu
