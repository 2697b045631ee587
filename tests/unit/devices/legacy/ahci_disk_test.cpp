// A disk and a CD-ROM drive on AHCI ports. What QEMU 7.2's ide-hd and ide-cd answer to the same commands stands in these
// tests: they were asked through qtest.
#include <gtest/gtest.h>

#include "devices/legacy/ahci_bench.h"
#include "state/document.h"

namespace nandu {
namespace {

constexpr uint32_t kGood = 0x50;

TEST(AhciDisk, GreetsWithItsSignature) {
  AhciBench bench;
  bench.PlugDisk();
  EXPECT_EQ(bench.Get(ahci::kSataStatus), 0x113u);
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x7fu);
  bench.StartPort();
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x130u);
  EXPECT_EQ(bench.Get(ahci::kSignature), 0x101u);
  EXPECT_EQ(bench.Get(ahci::kCommand), 0xc017u);
}

TEST(AhciDisk, IdentifiesItselfAsQemus) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  EXPECT_EQ(bench.Run({.command = 0xec}), kGood);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 3u);
  EXPECT_EQ(bench.Moved(), 512u);
  const std::string page = bench.Read(AhciBench::Buffer(0), 512);
  const unsigned char qemu[] = {
      0x40, 0x00, 0x82, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x7e, 0x00, 0x02, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x4d, 0x51, 0x30, 0x30, 0x30, 0x30, 0x20, 0x31, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
      0x20, 0x20, 0x03, 0x00, 0x00, 0x02, 0x04, 0x00, 0x2e, 0x32, 0x2b, 0x35, 0x20, 0x20, 0x20, 0x20, 0x45, 0x51, 0x55,
      0x4d, 0x48, 0x20, 0x52, 0x41, 0x44, 0x44, 0x53, 0x49, 0x20, 0x4b, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
      0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x10,
      0x80, 0x01, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00, 0x02, 0x00, 0x02, 0x07, 0x00, 0x82, 0x00, 0x10, 0x00, 0x3f, 0x00,
      0xe0, 0xff, 0x01, 0x00, 0x10, 0x01, 0x00, 0x00, 0x02, 0x00, 0x07, 0x00, 0x07, 0x00, 0x03, 0x00, 0x78, 0x00, 0x78,
      0x00, 0x78, 0x00, 0x78, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f, 0x00,
      0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x00, 0x16, 0x00, 0x21, 0x40, 0x00, 0x74, 0x00, 0x40, 0x21,
      0x40, 0x00, 0x34, 0x00, 0x40, 0x3f, 0x20};
  EXPECT_EQ(page.substr(0, sizeof(qemu)), std::string(reinterpret_cast<const char*>(qemu), sizeof(qemu)));
  EXPECT_EQ(page.substr(200, 4), std::string("\x00\x00\x02\x00", 4));
  EXPECT_EQ(page[338], 1) << "TRIM";
  // The PIO setup FIS and the register FIS after it.
  EXPECT_EQ(bench.Read(AhciBench::kFis + 0x20, 20),
            std::string("\x5f\x60\x58\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x58\x00\x02\x00\x00", 20));
  EXPECT_EQ(bench.Read(AhciBench::kFis + 0x40, 8), std::string("\x34\x40\x50\x00\x00\x00\x00\x40", 8));
}

TEST(AhciDisk, MovesBytesBothWays) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  for (const uint8_t write : std::initializer_list<uint8_t>{0x30, 0x34, 0xc5, 0x39, 0xca, 0x35, 0x3d}) {
    bench.Write(AhciBench::Buffer(0), std::string(1024, static_cast<char>(write)));
    EXPECT_EQ(bench.Run({.command = write, .lba = 7, .count = 2, .bytes = 1024}), kGood);
    for (const uint8_t read : std::initializer_list<uint8_t>{0x20, 0x24, 0xc4, 0x29, 0xc8, 0x25}) {
      bench.Write(AhciBench::Buffer(0), std::string(1024, '\0'));
      EXPECT_EQ(bench.Run({.command = read, .lba = 7, .count = 2, .bytes = 1024}), kGood);
      EXPECT_EQ(bench.Read(AhciBench::Buffer(0), 1024), std::string(1024, static_cast<char>(write)));
      EXPECT_EQ(bench.Moved(), 1024u);
    }
  }
}

TEST(AhciDisk, QueuedCommandsRunTogetherAndEndInAnyOrder) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  for (unsigned slot = 0; slot < 3; ++slot) {
    bench.Place({.command = 0x60, .lba = slot, .count = static_cast<uint16_t>(slot << 3), .feature = 1, .slot = slot});
  }
  bench.Set(ahci::kSataActive, 7);
  bench.Issue(7);
  bench.loop.RunUntilIdle();
  ASSERT_EQ(bench.node->in_flight(), 3u);
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 0u);
  EXPECT_EQ(bench.Get(ahci::kSataActive), 7u);
  bench.node->Release(1);
  bench.loop.RunUntilIdle();
  EXPECT_EQ(bench.Get(ahci::kSataActive), 5u);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 8u);
  EXPECT_EQ(bench.Read(AhciBench::kFis + 0x58, 8), std::string("\xa1\x40\x50\x00\x02\x00\x00\x00", 8));
  EXPECT_TRUE(bench.pin.level());
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kSataActive), 0u);
}

TEST(AhciDisk, AFailedQueuedCommandIsNamedByItsLog) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.node->FailNext(BlockRequest::Op::kRead, BlkStatus::kIoError);
  bench.Place({.command = 0x60, .lba = 99, .count = 5 << 3, .feature = 1, .slot = 5});
  bench.Set(ahci::kSataActive, 1 << 5);
  bench.Issue(1 << 5);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x4041u);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 0x40000008u);
  EXPECT_EQ(bench.Get(ahci::kSataActive), 1u << 5);
  bench.Set(ahci::kCommand, 0x16);
  EXPECT_EQ(bench.Get(ahci::kCommand), 0x4016u);
  bench.Set(ahci::kCommand, 0x17);
  EXPECT_EQ(bench.Get(ahci::kSataActive), 0u);
  EXPECT_EQ(bench.Run({.command = 0x2f, .lba = 0x10, .count = 1}), kGood);
  const std::string log = bench.Read(AhciBench::Buffer(0), 512);
  EXPECT_EQ(log[0], 5);
  EXPECT_EQ(log[4], 99);
}

TEST(AhciDisk, WhatItDoesNotKnowIsAbortedUntilTheListIsRestarted) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  EXPECT_EQ(bench.Run({.command = 0x99, .bytes = 0}), 0x441u);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 0x40000001u);
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 1u);
  bench.Place({.command = 0xec, .slot = 1});
  bench.Issue(2);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 3u) << "nothing goes on after an error";
  bench.Set(ahci::kCommand, 0x16);
  bench.Set(ahci::kCommand, 0x17);
  EXPECT_EQ(bench.Run({.command = 0xec}), kGood);
}

TEST(AhciDisk, RangesAndBuffersAreChecked) {
  for (const AhciCommandSpec& bad : {AhciCommandSpec{.command = 0x25, .lba = 0x20000, .count = 1},
                                     AhciCommandSpec{.command = 0x25, .lba = 0x1ffff, .count = 2, .bytes = 1024},
                                     AhciCommandSpec{.command = 0x25, .lba = 0xffffffffffff, .count = 1},
                                     AhciCommandSpec{.command = 0x25, .lba = 0, .count = 2},
                                     AhciCommandSpec{.command = 0x25, .lba = 0, .count = 0}}) {
    AhciBench bench;
    bench.PlugDisk();
    bench.StartPort();
    EXPECT_EQ(bench.Run(bad) & 1u, 1u);
    EXPECT_EQ(bench.node->served().size(), 0u);
  }
}

TEST(AhciDisk, StructuresOutsideMemoryAreABusFault) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.Place({.command = 0x25, .count = 1});
  const std::array<uint64_t, 2> region = {uint64_t{1} << 40, uint64_t{511} << 32};
  bench.Write(AhciBench::kTables + 0x80, std::string(reinterpret_cast<const char*>(region.data()), 16));
  bench.Issue(1);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), ahci::kHostBusFatal);
  bench.Set(ahci::kCommand, 0x16);
  bench.Set(ahci::kListBase, 0xfffff000);
  bench.Set(ahci::kCommand, 0x17);
  bench.Issue(1);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), ahci::kHostBusFatal);
}

TEST(AhciDisk, AStoppedListRunsUntilNothingIsInFlight) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.Place({.command = 0x25, .count = 1});
  bench.Issue(1);
  bench.loop.RunUntilIdle();
  ASSERT_EQ(bench.node->in_flight(), 1u);
  bench.Set(ahci::kCommand, 0x16);
  EXPECT_EQ(bench.Get(ahci::kCommand), 0xc016u) << "CR is still set";
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 0u);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kCommand), 0x4016u);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 0u) << "nobody hears of it any more";
}

TEST(AhciDisk, APortResetBringsTheLinkUpOnceNothingIsInFlight) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.Place({.command = 0x25, .count = 1});
  bench.Issue(1);
  bench.loop.RunUntilIdle();
  bench.Set(ahci::kCommand, 0x16);
  bench.Set(ahci::kSataControl, 0x301);
  EXPECT_EQ(bench.Get(ahci::kSataStatus), 0u);
  bench.Set(ahci::kSataControl, 0x300);
  EXPECT_EQ(bench.Get(ahci::kSataStatus), 0u);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kSataStatus), 0x113u);
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x130u);
  EXPECT_EQ(bench.Get(ahci::kSignature), 0x101u);
}

TEST(AhciDisk, SoftwareResetAnswersWithTheSignature) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  EXPECT_EQ(bench.Run({.command = 0xec}), kGood);
  for (const char control : {'\x04', '\x00'}) {
    bench.Place({.bytes = 0});
    bench.Write(AhciBench::kTables + 1, std::string(1, '\0'));  // no command
    bench.Write(AhciBench::kTables + 15, std::string(1, control));
    bench.Issue(1);
    bench.Settle();
    EXPECT_EQ(bench.Get(ahci::kCommandIssue), 0u);
  }
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x130u);
}

TEST(AhciDisk, BusMasterOffWaitsForWhatIsInFlight) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.Place({.command = 0x25, .count = 1});
  bench.Issue(1);
  bench.loop.RunUntilIdle();
  const ExitDone exit = bench.root.WriteConfig(0, 0xfa, 4, 2, 2);
  bench.loop.RunUntilIdle();
  ASSERT_NE(exit.token(), nullptr);
  EXPECT_FALSE(exit.token()->signalled());
  bench.Settle();
  EXPECT_TRUE(exit.token()->signalled());
}

TEST(AhciDisk, AFullHostParksTheCommandAndItIsDoneAfterCont) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  bench.host.stops_on_block_errors = true;
  bench.node->FailNext(BlockRequest::Op::kWrite, BlkStatus::kNoSpace);
  bench.Write(AhciBench::Buffer(0), std::string(512, 'k'));
  bench.Place({.command = 0x35, .count = 1});
  bench.Issue(1);
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 1u);
  EXPECT_EQ(bench.Get(ahci::kPortInterruptStatus), 0u);
  bool quiet = false;
  bench.ahci->Quiesce([&] { quiet = true; });
  bench.loop.RunUntilIdle();
  EXPECT_TRUE(quiet);
  bench.ahci->Resume();
  bench.Settle();
  EXPECT_EQ(bench.Get(ahci::kCommandIssue), 0u);
  EXPECT_EQ(bench.Get(ahci::kTaskFile), kGood);
  EXPECT_EQ(bench.node->bytes()[0], std::byte{'k'});
}

TEST(AhciDisk, StateIsTheSameAfterALoadAndIssuedCommandsAreDoneThere) {
  AhciBench from;
  from.PlugDisk();
  from.StartPort();
  EXPECT_EQ(from.Run({.command = 0xef, .feature = 0x82, .bytes = 0}), kGood);
  bool quiet = false;
  from.ahci->Quiesce([&] { quiet = true; });
  from.Settle();
  ASSERT_TRUE(quiet);
  from.Place({.command = 0xec});
  from.Issue(1);  // a write that was on its way when the vCPUs stopped
  const auto save = [](AhciBench& bench) {
    StateDocument document;
    bench.ahci->Save(StateWriter(document, "/ahci"));
    bench.drive->Save(StateWriter(document, "/drive"));
    return document.Serialize();
  };
  const std::vector<std::byte> bytes = save(from);
  AhciBench to;
  to.PlugDisk();
  to.ahci->Quiesce([] {});
  to.Settle();
  const StateDocument document = StateDocument::Parse(bytes).value();
  ASSERT_TRUE(to.ahci->Load(StateReader(document, "/ahci")));
  ASSERT_TRUE(to.drive->Load(StateReader(document, "/drive")));
  EXPECT_EQ(save(to), bytes);
  to.Place({.command = 0xec});
  to.ahci->Resume();
  to.Settle();
  EXPECT_EQ(to.Get(ahci::kTaskFile), kGood);
  EXPECT_EQ(to.Read(AhciBench::Buffer(0), 2), std::string("\x40\x00", 2));
  EXPECT_EQ(to.Read(AhciBench::Buffer(0) + 170, 2), std::string("\x01\x40", 2)) << "its write cache is off";
  from.ahci->Resume();
}

TEST(AhciDisk, TrimDiscardsItsRanges) {
  AhciBench bench;
  bench.PlugDisk();
  bench.StartPort();
  std::array<uint64_t, 64> ranges = {8 | uint64_t{16} << 48, 0, 100 | uint64_t{1} << 48};
  bench.Write(AhciBench::Buffer(0), std::string(reinterpret_cast<const char*>(ranges.data()), 512));
  EXPECT_EQ(bench.Run({.command = 0x06, .count = 1, .feature = 1}), kGood);
  const auto served = bench.node->served();
  ASSERT_EQ(served.size(), 2u);
  EXPECT_EQ(served[0], (MemoryBlockNode::Served{BlockRequest::Op::kDiscard, 8 * 512, 16 * 512, false, false}));
}

TEST(AhciCd, PacketsReachTheDrive) {
  AhciBench bench(2);
  bench.Plug(IdeCdFactory(), {{"drive", "disk"}, {"bus", "ide.2"}});
  bench.StartPort();
  EXPECT_EQ(bench.Get(ahci::kTaskFile), 0x170u);
  EXPECT_EQ(bench.Get(ahci::kSignature), 0xeb140101u);
  EXPECT_EQ(bench.Run({.command = 0xa1}), kGood);
  EXPECT_EQ(bench.Read(AhciBench::Buffer(0) + 20, 8), "MQ0000 5");
  bench.node->bytes()[2048] = std::byte{'c'};
  EXPECT_EQ(bench.Run({.command = 0xa0, .feature = 1, .device = 0, .bytes = 2048,
                       .packet = {0x28, 0, 0, 0, 0, 1, 0, 0, 1}}), kGood);
  EXPECT_EQ(bench.Read(AhciBench::Buffer(0), 1), "c");
  EXPECT_EQ(bench.Moved(), 2048u);
  EXPECT_EQ(bench.Run({.command = 0xa0, .device = 0, .bytes = 0, .packet = {0x99}}), 0x5041u);
}

TEST(AhciCd, AnEmptyDriveIsThereAndNotReady) {
  AhciBench bench(2);
  bench.Plug(IdeCdFactory(), {{"bus", "ide.2"}});
  bench.StartPort();
  EXPECT_EQ(bench.Run({.command = 0xa0, .device = 0, .bytes = 0, .packet = {0}}), 0x2041u);
}

TEST(IdeDrives, OptionsAreCheckedWithASentence) {
  AhciBench bench;
  const auto error = [&](const DeviceFactory& factory, const boost::json::object& options) {
    const auto made = factory.create(bench.host, "x", options);
    return made ? std::string("made") : made.error().message;
  };
  EXPECT_EQ(error(IdeHdFactory(), {{"bus", "ide.0"}}),
            "x: drive is missing; name a -drive id or a -blockdev node-name: drive=disk0");
  EXPECT_EQ(error(IdeHdFactory(), {{"bus", "ide.7"}, {"drive", "disk"}}),
            "x: there is no IDE bus 'ide.7'; a q35 board has ide.0 to ide.5");
  EXPECT_EQ(error(IdeHdFactory(), {{"drive", "disk"}, {"logical_block_size", "4096"}}),
            "x: logical_block_size=4096: an IDE disk has sectors of 512 bytes; use scsi-hd");
  bench.loop.RunUntilIdle();
}

}  // namespace
}  // namespace nandu
