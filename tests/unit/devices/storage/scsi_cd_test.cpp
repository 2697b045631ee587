// What QEMU 7.2's ide-cd and scsi-cd answer to the same commands stands in these tests: they were asked through qtest.
#include "devices/storage/scsi_cd.h"

#include "devices/storage/unit_bench.h"

namespace nandu {
using namespace std::string_literals;  // NOLINT

namespace {

struct ScsiCdTest : testing::Test {
  void Make(bool atapi, bool empty = false) {
    bench.node = std::make_shared<HangingBlockNode>(uint64_t{2} << 20);
    ScsiCdConfig config;
    config.atapi = atapi;
    config.identity.product = atapi ? "QEMU DVD-ROM" : "QEMU CD-ROM";
    config.on_tray = [this](bool open) { moves.push_back(open); };
    cd = std::make_unique<ScsiCd>(bench.Front({}, empty), std::move(config));
    if (!atapi) {
      EXPECT_EQ(Run({0}), "sense 06/29/00");
    }
  }
  std::string Run(std::vector<uint8_t> cdb, size_t wanted = 0) { return bench.Run(*cd, std::move(cdb), wanted); }
  void ChangeMedium(std::shared_ptr<BlockNode> node) {
    bool changed = false;
    bench.front->ChangeMedium(std::move(node), [&](const Result<>& result) { changed = result.has_value(); });
    bench.loop.RunUntilIdle();
    bench.control.RunReady();
    EXPECT_TRUE(changed);
  }
  UnitBench bench;
  std::unique_ptr<ScsiCd> cd;
  std::vector<bool> moves;
};

TEST_F(ScsiCdTest, OverScsiItIsQemus) {
  Make(false);
  EXPECT_EQ(Run({0x12, 0, 0, 0, 36}, 36),
            "058005121f00001251454d552020202051454d552043442d524f4d2020202020322e352b");
  EXPECT_EQ(Run({0x12, 1, 0, 1, 0}, 256), "050000020083");
  EXPECT_EQ(Run({0x25}, 8), "000003ff00000800");
  EXPECT_EQ(Run({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255}, 255),
            "001c0000000000002a143b007fff2d002260000208000b0000000b000b00");
  EXPECT_EQ(Run({0x46, 0, 0, 0, 0, 0, 0, 1, 0}, 256),
            "000000240000000800000308001000000008010000010b08000000010100000000030b0439000000");
  EXPECT_EQ(Run({0x43, 0, 2, 0, 0, 0, 0, 0, 64}, 64),
            "002e0101011400a000000000010000011400a100000000010000011400a2000000000004000114000100000000000000"
            "00"s.substr(0, 96));
  EXPECT_EQ(Run({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), "sense 05/20/00");
}

TEST_F(ScsiCdTest, BehindAtapiItIsQemus) {
  Make(true);
  EXPECT_EQ(Run({0}), "good") << "no unit attention";
  EXPECT_EQ(Run({0x12, 0, 0, 0, 96}, 96),
            "058000211f00000051454d552020202051454d55204456442d524f4d20202020322e352b");
  EXPECT_EQ(Run({0x43, 0, 0, 0, 0, 0, 0, 0, 20}, 20), "0012010100140100000000000016aa0000000400");
  EXPECT_EQ(Run({0x43, 2, 0, 0, 0, 0, 0, 0, 20}, 20), "0012010100140100000002000016aa0000000f31");
  EXPECT_EQ(Run({0x43, 0, 0, 0, 0, 0, 0xaa, 0, 20}, 20), "000a01010016aa0000000400");
  EXPECT_EQ(Run({0x46, 0, 0, 0, 0, 0, 0, 2, 0}, 512), "0000001000000008000003080010000000080100");
  EXPECT_EQ(Run({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8), "0004041000020000");
  EXPECT_EQ(Run({0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8}, 8), "sense 05/24/00");
  EXPECT_EQ(Run({0x51, 0, 0, 0, 0, 0, 0, 0, 34}, 34), "00200e0101010120" + std::string(52, '0'));
  EXPECT_EQ(Run({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128}, 128),
            "001c7000000000002a143b007160290002c00002020002c0000000000000");
  EXPECT_EQ(Run({0xad, 0, 0, 0, 0, 0, 0, 0xff, 0, 128}, 128), "001200000040080401400008034000c004400804");
  EXPECT_EQ(Run({0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8}, 8), "0000000000010000");
  EXPECT_EQ(Run({0xbe, 0, 0, 0, 0, 0, 0, 0, 1, 0xf8}, 2352).substr(0, 32), "00ffffffffffffffffffff0000020001");
  EXPECT_EQ(Run({0x99}), "sense 05/20/00");
  EXPECT_EQ(Run({3, 0, 0, 0, 18}, 18), "f00005000000000a00000000200000000000");
}

TEST_F(ScsiCdTest, AnEmptyDriveIsNotReady) {
  Make(false, true);
  EXPECT_EQ(Run({0}), "sense 02/3a/00");
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 2048), "sense 02/3a/00");
  EXPECT_EQ(Run({0x46, 0, 0, 0, 0, 0, 0, 0, 8}, 8), "0000002400000000");
  EXPECT_EQ(Run({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8), "0004041000000000");
}

TEST_F(ScsiCdTest, TheGuestMovesTheTrayUnlessItLockedIt) {
  Make(false);
  EXPECT_EQ(Run({0x1e, 0, 0, 0, 1}), "good");
  EXPECT_EQ(Run({0x1b, 0, 0, 0, 2}), "sense 05/53/02");
  EXPECT_EQ(Run({0x1e}), "good");
  EXPECT_EQ(Run({0x1b, 0, 0, 0, 2}), "good");
  EXPECT_EQ(moves, std::vector<bool>({true}));
  EXPECT_EQ(Run({0}), "sense 02/3a/00");
  EXPECT_EQ(Run({0x1b, 0, 0, 0, 3}), "good");
  EXPECT_EQ(moves, std::vector<bool>({true, false}));
  EXPECT_EQ(Run({0}), "sense 06/28/00") << "it may be another medium";
  EXPECT_EQ(Run({0}), "good");
}

TEST_F(ScsiCdTest, TheHostAsksALockedDriveAndForcesIt) {
  Make(false);
  EXPECT_EQ(Run({0x1e, 0, 0, 0, 1}), "good");
  EXPECT_FALSE(cd->OpenTray(false));
  EXPECT_EQ(Run({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8), "0004041001020000") << "an eject request";
  EXPECT_EQ(Run({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8), "0004041000020000") << "told once";
  EXPECT_TRUE(cd->OpenTray(true));
  EXPECT_TRUE(cd->tray_open());
  EXPECT_FALSE(cd->locked());
}

TEST_F(ScsiCdTest, ANewMediumIsReadAfterAnAttention) {
  Make(false);
  bench.node->bytes()[0] = std::byte{'a'};
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 2048).substr(0, 2), "61");
  EXPECT_TRUE(cd->OpenTray(false));
  ChangeMedium(nullptr);
  EXPECT_EQ(Run({0}), "sense 02/3a/00");
  auto other = std::make_shared<HangingBlockNode>(uint64_t{4} << 20);
  other->bytes()[0] = std::byte{'b'};
  ChangeMedium(other);
  cd->CloseTray();
  bench.node = other;
  EXPECT_EQ(Run({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8), "0004041002020000") << "a new medium";
  EXPECT_EQ(Run({0}), "sense 06/28/00");
  EXPECT_EQ(Run({0x25}, 8), "000007ff00000800");
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 2048).substr(0, 2), "62");
}

TEST_F(ScsiCdTest, AReadInFlightEndsOnTheOldMedium) {
  Make(false);
  bench.Begin(*cd, {0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 2048);
  bench.loop.RunUntilIdle();
  ASSERT_EQ(bench.node->in_flight(), 1u);
  EXPECT_TRUE(cd->OpenTray(false));
  bool changed = false;
  bench.front->ChangeMedium(nullptr, [&](const Result<>&) { changed = true; });
  bench.loop.RunUntilIdle();
  bench.control.RunReady();
  EXPECT_FALSE(changed);
  bench.node->ReleaseAll();
  bench.loop.RunUntilIdle();
  bench.control.RunReady();
  EXPECT_TRUE(changed);
  EXPECT_TRUE(bench.done);
  EXPECT_EQ(bench.command.status, scsi::Status::kGood);
}

TEST_F(ScsiCdTest, StateIsTheSameAfterALoad) {
  Make(true);
  EXPECT_EQ(Run({0x1e, 0, 0, 0, 1}), "good");
  EXPECT_EQ(Run({0x99}), "sense 05/20/00");
  const ScsiUnitState saved = cd->Save();
  EXPECT_TRUE(saved.locked);
  ScsiCdConfig config;
  config.atapi = true;
  ScsiCd other(bench.front, std::move(config));
  ASSERT_TRUE(other.Load(saved));
  EXPECT_TRUE(Equal(other.Save(), saved));
  ScsiUnitState empty = saved;
  empty.has_medium = false;
  EXPECT_FALSE(other.Load(empty));
}

}  // namespace
}  // namespace nandu
