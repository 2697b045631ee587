// Rendering against a slow, obvious model: for every address, the visible mapping is the one a scan finds.
#include "memory/flat_view.h"

#include <gtest/gtest.h>
#include <random>

#include "memory/flat_render.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kAll = ~uint64_t{0};

MappedRegion Mapped(uint64_t id, uint64_t base, Region region, int priority = 0) {
  return MappedRegion{id, base, priority, true, region.readonly(), std::move(region)};
}

const MappedRegion* ModelOwner(const std::vector<MappedRegion>& mappings, uint64_t address) {
  const MappedRegion* owner = nullptr;
  for (const MappedRegion& mapping : mappings) {
    const bool there =
        mapping.enabled && address >= mapping.base && address - mapping.base < mapping.region.size();
    const bool wins = owner == nullptr || mapping.priority > owner->priority ||
                      (mapping.priority == owner->priority && mapping.id > owner->id);
    if (there && wins) {
      owner = &mapping;
    }
  }
  return owner;
}

// What the model says about one byte, in the words of a FlatRange.
FlatRange ModelByte(const std::vector<MappedRegion>& mappings, uint64_t address) {
  FlatRange byte;
  byte.base = address;
  if (const MappedRegion* const owner = ModelOwner(mappings, address)) {
    const bool ram = owner->region.kind() == Region::Kind::kRam;
    byte.size = 1;
    byte.kind = owner->region.kind();
    byte.readonly = ram && owner->readonly;
    byte.offset = address - owner->base + (ram ? owner->region.block_offset() : 0);
    byte.block = owner->region.block();
    byte.handler = owner->region.handler();
  }
  return byte;
}

FlatRange ViewByte(const FlatView& view, uint64_t address) {
  const FlatRange* const range = view.Find(address);
  FlatRange byte = range == nullptr ? FlatRange{} : *range;
  byte.size = range == nullptr ? 0 : 1;
  byte.offset += range == nullptr ? 0 : address - range->base;
  byte.base = address;
  return byte;
}

void ExpectSortedAndMerged(const FlatView& view) {
  for (size_t i = 1; i < view.ranges().size(); i++) {
    const FlatRange& before = view.ranges()[i - 1];
    const FlatRange& after = view.ranges()[i];
    EXPECT_LE(before.base + before.size, after.base);
    const bool continues = before.base + before.size == after.base && before.kind == after.kind &&
                           before.readonly == after.readonly && before.block == after.block &&
                           before.handler == after.handler && before.offset + before.size == after.offset;
    EXPECT_FALSE(continues) << "ranges at " << before.base << " and " << after.base << " belong together";
  }
}

TEST(FlatRender, RandomMapsAgreeWithAPerByteScan) {
  constexpr uint64_t kSpace = 512;
  std::mt19937_64 random(20240229);
  const auto below = [&random](uint64_t n) { return random() % n; };
  const std::shared_ptr<RamBlock> block = TestRam(4096);
  const std::vector<std::shared_ptr<FakeIoHandler>> handlers = {std::make_shared<FakeIoHandler>(),
                                                                std::make_shared<FakeIoHandler>()};
  for (int round = 0; round < 300; round++) {
    std::vector<MappedRegion> mappings;
    for (uint64_t id = 1; id <= 1 + below(12); id++) {
      const uint64_t base = below(kSpace);
      const uint64_t size = 1 + below(std::min<uint64_t>(kSpace - base, 120));
      const Region kinds[] = {Region::Io(handlers[below(2)], size), Region::Ram(block, base, size),
                              Region::Rom(block, base, size)};
      mappings.push_back(Mapped(id, base, kinds[below(3)], static_cast<int>(below(3)) - 1));
      mappings.back().enabled = below(5) != 0;
    }
    const std::shared_ptr<const FlatView> view = RenderFlatView(mappings, kSpace, nullptr);
    ExpectSortedAndMerged(*view);
    for (uint64_t address = 0; address < kSpace; address++) {
      const FlatRange expected = ModelByte(mappings, address);
      ASSERT_TRUE(ViewByte(*view, address).SameMapping(expected))
          << "round " << round << " address " << address;
      ASSERT_EQ(view->memory()->HostPointer(Gpa{address}, 1, Access::kRead) != nullptr,
                expected.size == 1 && expected.kind == Region::Kind::kRam);
    }
  }
}

TEST(FlatRender, AdjacentRamOfOneBlockIsOneRange) {
  const std::shared_ptr<RamBlock> block = TestRam(0x4000);
  const std::vector<MappedRegion> mappings = {Mapped(1, 0x1000, Region::Ram(block, 0, 0x1000)),
                                              Mapped(2, 0x2000, Region::Ram(block, 0x1000, 0x1000)),
                                              Mapped(3, 0x3000, Region::Ram(block, 0x3000, 0x1000))};
  const std::shared_ptr<const FlatView> view = RenderFlatView(mappings, kAll, nullptr);
  ASSERT_EQ(view->ranges().size(), 2U);
  EXPECT_EQ(view->ranges()[0].size, 0x2000U);
  EXPECT_EQ(view->ranges()[1].offset, 0x3000U);
}

TEST(FlatRender, AMappingThatWrapsOrPassesTheEndIsLeftOut) {
  const auto handler = std::make_shared<FakeIoHandler>();
  const std::vector<MappedRegion> mappings = {Mapped(1, kAll - 0xfff, Region::Io(handler, 0x1000)),
                                              Mapped(2, kAll, Region::Io(handler, 1)),
                                              Mapped(3, kAll - 0x1000, Region::Io(handler, 0x1000))};
  const std::shared_ptr<const FlatView> view = RenderFlatView(mappings, kAll, nullptr);
  ASSERT_EQ(view->ranges().size(), 1U);
  EXPECT_EQ(view->ranges()[0].base, kAll - 0x1000);
  EXPECT_NE(view->Find(kAll - 1), nullptr);
  EXPECT_EQ(view->Find(kAll), nullptr);
}

TEST(FlatRender, OnlyWhollyVisibleEventsAreListed) {
  const auto device = std::make_shared<FakeIoHandler>();
  const auto cover = std::make_shared<FakeIoHandler>();
  const std::vector<IoEvent> events = {{.offset = 0, .size = 2, .match = 7, .fd = 10},
                                       {.offset = 14, .size = 4, .match = {}, .fd = 11},
                                       {.offset = 32, .size = 0, .match = {}, .fd = 12}};
  const std::vector<MappedRegion> mappings = {Mapped(1, 0x100, Region::Io(device, 64, events)),
                                              Mapped(2, 0x110, Region::Io(cover, 16), 1)};
  const std::shared_ptr<const FlatView> view = RenderFlatView(mappings, kAll, nullptr);
  const std::vector<FlatIoEvent> expected = {{0x100, 2, 7, 10}, {0x120, 0, {}, 12}};
  EXPECT_EQ(view->events(), expected);
}

TEST(FlatRender, AnEventPastItsRegionIsNeverListed) {
  const auto device = std::make_shared<FakeIoHandler>();
  const std::vector<IoEvent> events = {{.offset = 62, .size = 4, .match = {}, .fd = 10},
                                       {.offset = kAll, .size = 4, .match = {}, .fd = 11}};
  const std::vector<MappedRegion> mappings = {Mapped(1, 0x100, Region::Io(device, 64, events)),
                                              Mapped(2, 0x140, Region::Io(device, 64))};
  EXPECT_TRUE(RenderFlatView(mappings, kAll, nullptr)->events().empty());
}

TEST(FlatView, MemoryIsSharedWhileTheRamIsTheSame) {
  const std::shared_ptr<RamBlock> block = TestRam(0x2000);
  const auto handler = std::make_shared<FakeIoHandler>();
  std::vector<MappedRegion> mappings = {Mapped(1, 0, Region::Ram(block, 0, 0x2000))};
  const std::shared_ptr<const FlatView> first = RenderFlatView(mappings, kAll, nullptr);
  mappings.push_back(Mapped(2, 0x10000, Region::Io(handler, 16)));
  const std::shared_ptr<const FlatView> second = RenderFlatView(mappings, kAll, first.get());
  mappings.push_back(Mapped(3, 0x1000, Region::Io(handler, 16), 1));
  const std::shared_ptr<const FlatView> third = RenderFlatView(mappings, kAll, second.get());
  EXPECT_EQ(first->memory(), second->memory());
  EXPECT_NE(second->memory(), third->memory());
}

}  // namespace
}  // namespace nandu
