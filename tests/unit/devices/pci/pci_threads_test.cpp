// Several vCPUs and a device at once on one tree: no deadlock, and the registers and the maps agree in the
// end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "devices/pci/pci_caps.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

constexpr int kRounds = 300;

class CountingBarrier final : public VcpuBarrier {
 public:
  void Enter() override { EXPECT_EQ(inside_.exchange(1), 0); }
  void Leave() override { EXPECT_EQ(inside_.exchange(0), 1); }

 private:
  std::atomic<int> inside_{0};
};

// What the machine does: every DmaSpace shows the memory of the current view.
class MemoryFollower final : public FlatViewListener {
 public:
  explicit MemoryFollower(PciBus& root) : root_(root) {}
  void Commit(const FlatView* /*from*/, const FlatView& to) override { root_.SetMemory(to.memory()); }

 private:
  PciBus& root_;
};

// Registers that keep nothing, since several threads reach them.
class QuietRegisters final : public IoHandler {
 public:
  std::string_view name() const override { return "quiet"; }
  uint64_t Read(uint64_t /*offset*/, unsigned /*size*/) override { return 0x5a; }
  ExitDone Write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {
    return ExitDone::Done();
  }
};

TEST(PciThreads, ConfigurationBarsAndInterruptsFromManyThreads) {
  FakePciBoard board;
  CountingBarrier barrier;
  board.memory.SetBarrier(&barrier);
  board.io.SetBarrier(&barrier);
  MemoryFollower follower(board.root);
  board.memory.AddListener(&follower);
  Mapping ram = board.memory.Map(0, Region::Ram(TestRam(0x10000), 0, 0x10000)).value();
  const auto registers = std::make_shared<QuietRegisters>();
  FakeBridge port("pci.1", board.root, pci::DevFn(1, 0), 1);
  PciFunction disk("disk0", TestIdentity(), true);
  ASSERT_TRUE(AddExpressEndpoint(disk).has_value());
  ASSERT_TRUE(disk.EnableMsix(2, 1, board.msi).has_value());
  ASSERT_TRUE(disk.AddBar(2, BarKind::kMemory32, Region::Io(registers, 0x1000)).has_value());
  port.bus.Attach(disk, 0).value();
  port.Number(0, 1, 1);
  port.OpenMemory(0xfe000000, 0xfe1fffff);
  const uint16_t control = static_cast<uint16_t>(disk.FindCapability(pci::kCapMsix) + pci::kMsixControl);

  std::thread mover([&] {
    for (int i = 0; i < kRounds; i++) {
      (void)board.root.WriteConfig(1, 0, 0x18, 4, i % 2 == 0 ? 0xfe000000 : 0xfe100000);
      (void)board.root.WriteConfig(1, 0, 0x04, 2, i % 3 == 0 ? 0 : 7);
    }
  });
  std::thread bridge_owner([&] {
    for (int i = 0; i < kRounds; i++) {
      port.OpenMemory(0xfe000000, i % 2 == 0 ? 0xfe0fffff : 0xfe1fffff);
      (void)board.root.WriteConfig(1, 0, control, 2, static_cast<uint32_t>(i % 4) << 14);
    }
  });
  std::thread device([&] {
    std::vector<iovec> pieces;
    for (int i = 0; i < kRounds; i++) {
      disk.SetIntx(i % 2 == 0);
      disk.NotifyMsix(static_cast<unsigned>(i % 2));
      pieces.clear();
      (void)disk.dma().Translate(0x100, 0x100, Access::kWrite, &pieces);
    }
  });
  std::thread reader([&] {
    FlatViewCache cache(board.memory);
    for (int i = 0; i < kRounds; i++) {
      EXPECT_THAT(cache.Read(0xfe000000, 1), testing::AnyOf(0x5aU, 0xffU));
      (void)cache.Read(0xfe100800, 4);
    }
  });
  mover.join();
  bridge_owner.join();
  device.join();
  reader.join();

  (void)board.root.WriteConfig(1, 0, 0x18, 4, 0xfe000000);
  (void)board.root.WriteConfig(1, 0, 0x04, 2, 7);
  disk.SetIntx(false);
  EXPECT_EQ(board.memory.Read(0xfe000000, 1), 0x5aU);
  EXPECT_FALSE(board.lines[1].level());
  uint8_t value = 0;
  EXPECT_TRUE(disk.dma().Read(0x100, &value, 1));
  board.memory.RemoveListener(&follower);
}

}  // namespace
}  // namespace nandu
