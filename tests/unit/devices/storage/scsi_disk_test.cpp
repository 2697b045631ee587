// What QEMU 7.2's scsi-hd over 64 MiB answers to the same commands stands in these tests: it was asked through qtest.
#include "devices/storage/scsi_disk.h"

#include "devices/storage/unit_bench.h"

namespace nandu {
using namespace std::string_literals;  // NOLINT

namespace {

struct ScsiDiskTest : testing::Test {
  void Make(ScsiDiskConfig config = {}, DiskFront::Config front = {}) {
    config.identity.product = "QEMU HARDDISK";
    config.identity.serial = config.identity.device_id = "abc";
    config.identity.wwn = 0x5000000000001234;
    disk = std::make_unique<ScsiDisk>(bench.Front(std::move(front)), config);
    EXPECT_EQ(Run({0}), "sense 06/29/00") << "powered on";
  }
  std::string Run(std::vector<uint8_t> cdb, size_t wanted = 0, std::string sent = {}) {
    return bench.Run(*disk, std::move(cdb), wanted, std::move(sent));
  }
  UnitBench bench;
  std::unique_ptr<ScsiDisk> disk;
};

TEST_F(ScsiDiskTest, IdentifiesItselfAsQemus) {
  Make();
  EXPECT_EQ(Run({0}), "good");
  EXPECT_EQ(Run({0x12, 0, 0, 0, 36}, 36),
            "000005121f00001251454d552020202051454d5520484152444449534b202020322e352b");
  EXPECT_EQ(Run({0x12, 0, 0, 1, 0}, 256).substr(0, 16), "00000512fb000012");
  EXPECT_EQ(Run({0x12, 1, 0, 1, 0}, 256), "00000006008083b0b1b2");
  EXPECT_EQ(Run({0x12, 1, 0x80, 1, 0}, 256), "00800003616263");
  EXPECT_EQ(Run({0x12, 1, 0x83, 1, 0}, 256), "0083001302000003616263010300085000000000001234");
  EXPECT_EQ(Run({0x12, 1, 0xb0, 1, 0}, 256),
            "00b0003c01000000003fffff000000000000000000200000000000ff000000080000000000000000003fffff"
            "0000000000000000000000000000000000000000");
  EXPECT_EQ(Run({0x12, 1, 0xb2, 1, 0}, 256), "00b2000400e00200");
  EXPECT_EQ(Run({0x12, 1, 0x85, 1, 0}, 256), "sense 05/24/00");
  EXPECT_EQ(Run({0x12, 0, 5, 1, 0}, 256), "sense 05/24/00");
}

TEST_F(ScsiDiskTest, CapacityAndModePagesAreQemus) {
  Make();
  EXPECT_EQ(Run({0x25}, 8), "0001ffff00000200");
  EXPECT_EQ(Run({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}, 32),
            "000000000001ffff0000020000008000" + std::string(32, '0'));
  EXPECT_EQ(Run({0x1a, 0, 0x3f, 0, 255}, 255),
            "630000080002000000000200010a800000000000000000000416000082100000"
            "8200008200c8ffffff00000015180000051e1388103f02000082008200820001"
            "01000101010000000000000015180000081204000000000000000000000000000000000000"s.substr(0, 200));
  EXPECT_EQ(Run({0x1a, 0, 0x48, 0, 255}, 16), "1f000008000200000000020008120400");
  EXPECT_EQ(Run({0x1a, 0, 0x0a, 0, 255}, 255), "sense 05/24/00");
  EXPECT_EQ(Run({0x1a, 0, 0xc8, 0, 255}, 255), "sense 05/39/00");
}

TEST_F(ScsiDiskTest, MovesBytesBothWaysInEveryForm) {
  Make();
  const std::string block(512, 'y');
  const std::vector<std::pair<std::vector<uint8_t>, std::vector<uint8_t>>> forms = {
      {{0x0a, 0, 0, 8, 1}, {0x08, 0, 0, 8, 1}},
      {{0x2a, 0, 0, 0, 0, 9, 0, 0, 1}, {0x28, 0, 0, 0, 0, 9, 0, 0, 1}},
      {{0xaa, 0, 0, 0, 0, 10, 0, 0, 0, 1}, {0xa8, 0, 0, 0, 0, 10, 0, 0, 0, 1}},
      {{0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 1}, {0x88, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 1}},
  };
  for (const auto& [write, read] : forms) {
    EXPECT_EQ(Run(write, 0, block), "good");
    EXPECT_EQ(Run(read, 512), Hex(block));
  }
  EXPECT_EQ(Run({0x28, 0, 0x7f, 0, 0, 0, 0, 0, 1}, 512), "sense 05/21/00");
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 0}, 0), "good");
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 2}, 512), "overrun");
  EXPECT_EQ(Run({0x28, 0x20, 0, 0, 0, 0, 0, 0, 1}, 512), "sense 05/24/00");
  EXPECT_EQ(disk->counters().overruns.value(), 1u);
}

TEST_F(ScsiDiskTest, TheWriteCacheIsTheGuestsToTurnOff) {
  Make();
  const std::string off("\x00\x00\x00\x00\x08\x12\x00", 7);
  EXPECT_EQ(Run({0x15, 0x10, 0, 0, 24}, 0, off + std::string(17, '\0')), "good");
  EXPECT_EQ(Run({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, 0, std::string(512, 'x')), "good");
  EXPECT_TRUE(bench.node->served().back().fua);
  EXPECT_EQ(Run({0x15, 0x10, 0, 0, 24}, 0, std::string("\x00\x00\x00\x00\x08\x12\x05", 7) + std::string(17, '\0')),
            "sense 05/26/00");
  EXPECT_EQ(Run({0x15, 0x10, 0, 0, 2}, 0, std::string(2, '\0')), "sense 05/1a/00");
  disk->Reset();
  EXPECT_EQ(Run({0}), "sense 06/29/00");
  EXPECT_EQ(Run({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, 0, std::string(512, 'x')), "good");
  EXPECT_FALSE(bench.node->served().back().fua);
}

TEST_F(ScsiDiskTest, BlocksAreZeroedRepeatedAndUnmapped) {
  Make();
  EXPECT_EQ(Run({0x93, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 200}, 0, std::string(512, 'z')), "good");
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 201, 0, 0, 1}, 512), Hex(std::string(512, 'z')));
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 202, 0, 0, 1}, 512), Hex(std::string(512, '\0')));
  EXPECT_EQ(Run({0x41, 8, 0, 0, 0, 0, 0, 0, 8}, 0, std::string(512, '\0')), "good");
  EXPECT_EQ(bench.node->served().back(),
            (MemoryBlockNode::Served{BlockRequest::Op::kWriteZeroes, 0, 4096, false, true}));
  EXPECT_EQ(Run({0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, std::string(512, '\0')), "sense 05/24/00");
  const std::string list("\x00\x26\x00\x20\x00\x00\x00\x00"
                         "\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x08\x00\x00\x00\x00"
                         "\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x10\x00\x00\x00\x00",
                         40);
  EXPECT_EQ(Run({0x42, 0, 0, 0, 0, 0, 0, 0, 40}, 0, list), "good");
  const auto served = bench.node->served();
  EXPECT_EQ(served[served.size() - 2],
            (MemoryBlockNode::Served{BlockRequest::Op::kDiscard, 0x10 * 512, 8 * 512, false, false}));
  EXPECT_EQ(served.back(), (MemoryBlockNode::Served{BlockRequest::Op::kDiscard, 0x40 * 512, 16 * 512, false, false}));
  EXPECT_EQ(Run({0x42, 1, 0, 0, 0, 0, 0, 0, 40}, 0, list), "sense 05/24/00");
  EXPECT_EQ(Run({0x42, 0, 0, 0, 0, 0, 0, 0, 4}, 0, std::string(4, '\0')), "sense 05/1a/00");
}

TEST_F(ScsiDiskTest, ErrorsFollowTheirPolicy) {
  DiskFront::Config config;
  config.write_errors = DiskErrorPolicy::kEnospc;
  std::vector<DiskError> told;
  config.on_error = [&told](const DiskError& error) {
    told.push_back(error);
    return error.action == DiskErrorPolicy::kStop;
  };
  Make({}, std::move(config));
  bench.node->FailNext(BlockRequest::Op::kRead, BlkStatus::kIoError);
  EXPECT_EQ(Run({0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 512), "sense 03/11/00");
  bench.node->FailNext(BlockRequest::Op::kWrite, BlkStatus::kNoSpace);
  EXPECT_EQ(Run({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, 0, std::string(512, 'x')), "parked");
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[0].is_read);
  EXPECT_TRUE(told[1].no_space);
  disk->Execute(&bench.command);  // what its carrier does when the VM goes on
  bench.loop.RunUntilIdle();
  bench.node->ReleaseAll();
  bench.loop.RunUntilIdle();
  EXPECT_FALSE(bench.command.parked);
  EXPECT_EQ(bench.command.status, scsi::Status::kGood);
}

TEST_F(ScsiDiskTest, StateIsTheSameAfterALoad) {
  Make();
  disk->Attention(scsi::kCapacityChanged);
  const ScsiUnitState saved = disk->Save();
  ScsiDisk other(bench.front, {});
  ASSERT_TRUE(other.Load(saved));
  EXPECT_TRUE(Equal(other.Save(), saved));
  ScsiUnitState wrong = saved;
  wrong.size_bytes = 1;
  EXPECT_FALSE(other.Load(wrong));
}

}  // namespace
}  // namespace nandu
