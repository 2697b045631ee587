// The guest half of virtio-blk, its factory, and the sentence about resets with a hung read.
#include "devices/virtio/blk/blk_device.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "devices/virtio/blk/blk_factory.h"
#include "devices/virtio/virtio_pci_device.h"
#include "state/document.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"
#include "support/fake_virtio_guest.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

constexpr uint64_t kDiskBytes = uint64_t{16} << 20;

struct BlkDeviceTest : testing::Test {
  void Start(BlkDeviceConfig config) {
    auto made = BlkDevice::Create(std::move(config), loop, node).value();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made));
  }
  void TearDown() override {
    if (guest) {
      node->ReleaseAll();
      guest->device().Quiesce([] {});
      loop.RunUntilIdle();
      guest.reset();
      loop.RunUntilIdle();
    }
  }
  SentChain SendRead(unsigned queue, uint64_t sector) {
    return guest->ring(queue)
        .Chain()
        .Header(blk::RequestHeader{blk::kTypeIn, 0, sector})
        .Writable(512)
        .Writable(1)
        .Send();
  }
  std::string ConfigBytes() const {
    const auto bytes = device->Config();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  bool Writeback() const { return device->Config()[32] != std::byte{0}; }

  ManualLoop loop;
  std::shared_ptr<HangingBlockNode> node = std::make_shared<HangingBlockNode>(kDiskBytes);
  BlkDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

// qemu-system-x86_64 7.2 -drive if=none,id=d0,file=16M.img,format=raw -device virtio-blk-pci,drive=d0
TEST_F(BlkDeviceTest, ConfigurationAndFeaturesAreQemus) {
  Start({});
  constexpr unsigned char kQemu[] = {0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0xfe, 0x00, 0x00, 0x00, 0x20, 0x00, 0x10, 0x3f, 0x00, 0x02, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00,
                                     0xff, 0xff, 0x3f, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
                                     0xff, 0xff, 0x3f, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01};
  EXPECT_EQ(ConfigBytes(), std::string(reinterpret_cast<const char*>(kQemu), sizeof(kQemu)));
  guest->MapBars();
  EXPECT_EQ(guest->Offered(), 0x0000010130006e54U);
  EXPECT_EQ(guest->Legacy(0, 4), 0x79006e54U);
  (void)guest->SetConfig(0x10, 4, 0xffffffff);
  EXPECT_EQ(guest->Config(0x10, 4), 0xffffff81U);  // 128 ports
}

TEST_F(BlkDeviceTest, TopologyAndQueuesAreShown) {
  BlkDeviceConfig config;
  config.queues = 4;
  config.logical_block_size = 4096;
  config.physical_block_size = 16384;
  config.min_io_bytes = 8192;
  config.opt_io_bytes = 65536;
  config.discard_granularity_bytes = 8192;
  Start(std::move(config));
  blk::Config shown;
  std::memcpy(&shown, device->Config().data(), sizeof(shown));
  EXPECT_EQ(shown.blk_size, 4096U);
  EXPECT_EQ(shown.physical_block_exp, 2);
  EXPECT_EQ(shown.min_io_size, 2);
  EXPECT_EQ(shown.opt_io_size, 16U);
  EXPECT_EQ(shown.num_queues, 4);
  EXPECT_EQ(shown.discard_sector_alignment, 16U);
  EXPECT_EQ(device->Features() & blk::kFeatureMultiQueue, blk::kFeatureMultiQueue);
}

TEST_F(BlkDeviceTest, WhatIsSwitchedOffIsNotOffered) {
  BlkDeviceConfig config;
  config.discard = config.write_zeroes = config.config_wce = config.writeback = false;
  BlockLimits limits = node->limits();
  limits.read_only = true;
  node->SetLimits(limits);
  Start(std::move(config));
  EXPECT_EQ(device->Features(), blk::kFeatureSegMax | blk::kFeatureGeometry | blk::kFeatureBlkSize |
                                    blk::kFeatureTopology | blk::kFeatureReadOnly);
  EXPECT_EQ(device->Config().size(), 36U);
}

TEST_F(BlkDeviceTest, DriverSwitchesTheWriteCache) {
  Start({});
  guest->StartModern({});
  EXPECT_TRUE(Writeback());
  (void)guest->SetModern(virtio::kDeviceOffset + 32, 1, 0);
  EXPECT_FALSE(Writeback());
  (void)guest->SetModern(virtio::kDeviceOffset, 4, 1);  // the capacity is not a driver's to write
  EXPECT_EQ(guest->Modern(virtio::kDeviceOffset, 4), 0x8000U);
  (void)guest->SetStatus(0);
  loop.RunUntilIdle();
  EXPECT_TRUE(Writeback());
}

TEST_F(BlkDeviceTest, GrownDiskIsShownAndServedWithoutAReboot) {
  Start({});
  guest->StartModern({});
  const uint64_t last = kDiskBytes / 512;
  const SentChain early = SendRead(0, last);
  guest->Kick(0);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(0).BytesOf(early).back(), 1);  // IOERR: there is no such sector yet
  const uint64_t generation = guest->Modern(virtio::kCommonOffset + 21, 1);
  const size_t interrupts = guest->interrupts(0);

  node->Grow(2 * kDiskBytes);

  EXPECT_EQ(guest->interrupts(0), interrupts + 1) << "the configuration's vector";
  EXPECT_NE(guest->Modern(virtio::kCommonOffset + 21, 1), generation);
  EXPECT_EQ(guest->Modern(virtio::kDeviceOffset, 4), 2 * last);
  const SentChain sent = SendRead(0, last);
  guest->Kick(0);
  loop.RunUntilIdle();
  node->Release();
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(0).BytesOf(sent).back(), 0);
}

TEST_F(BlkDeviceTest, EachQueueIsServedByItsOwnLoop) {
  ManualLoop other;
  BlkDeviceConfig config;
  config.queues = 2;
  auto made = BlkDevice::Create(std::move(config), {&loop, &other}, node).value();
  guest = std::make_unique<FakeVirtioGuest>(std::move(made));
  guest->StartModern({});
  loop.RunUntilIdle();
  other.RunUntilIdle();
  (void)SendRead(0, 0);
  (void)SendRead(1, 8);
  guest->Kick(0);
  guest->Kick(1);
  other.RunUntilIdle();
  EXPECT_EQ(node->in_flight(), 1U) << "the second queue's request only";
  loop.RunUntilIdle();
  EXPECT_EQ(node->in_flight(), 2U);

  node->ReleaseAll();
  bool quiet = false;
  guest->device().Quiesce([&] { quiet = true; });
  loop.RunUntilIdle();
  EXPECT_FALSE(quiet) << "the other loop has its queue yet";
  other.RunUntilIdle();
  EXPECT_TRUE(quiet);
  guest.reset();
  loop.RunUntilIdle();
  other.RunUntilIdle();
}

TEST_F(BlkDeviceTest, DriverThatCannotFlushGetsWriteThrough) {
  Start({});
  guest->StartModern({.without = blk::kFeatureFlush | blk::kFeatureConfigWce});
  EXPECT_FALSE(Writeback());
}

TEST_F(BlkDeviceTest, QueuesWorkSideBySide) {
  BlkDeviceConfig config;
  config.queues = 2;
  Start(std::move(config));
  guest->StartModern({});
  const SentChain one = SendRead(0, 0);
  const SentChain two = SendRead(1, 8);
  guest->Kick(0);
  guest->Kick(1);
  loop.RunUntilIdle();
  EXPECT_EQ(node->in_flight(), 2U);
  node->Release(1);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(1).NextUsed(), (Used{two.id, 513}));
  EXPECT_EQ(guest->interrupts(2), 1U);
  EXPECT_EQ(guest->interrupts(1), 0U);
  node->Release();
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(0).NextUsed(), (Used{one.id, 513}));
}

// The issue: a virtio reset written with a hung read in flight (legacy driver: writes 0, reads once) returns
// only when no completion can touch guest memory any more.
TEST_F(BlkDeviceTest, LegacyResetWithAHungReadReturnsWhenNothingCanTouchGuestMemory) {
  Start({});
  std::memset(node->bytes().data(), 'x', 512);
  guest->StartLegacy();
  const SentChain sent = SendRead(0, 0);
  guest->KickLegacy(0);
  loop.RunUntilIdle();
  ASSERT_EQ(node->in_flight(), 1U);

  const ExitDone exit = guest->SetLegacy(virtio::kLegacyStatus, 1, 0);
  loop.RunUntilIdle();
  ASSERT_NE(exit.token(), nullptr);
  EXPECT_FALSE(exit.token()->signalled());  // the vCPU waits in its own thread, holding nothing:
  EXPECT_NE(guest->Legacy(virtio::kLegacyStatus, 1), 0U);
  EXPECT_EQ(guest->Legacy(virtio::kLegacyHostFeatures, 4), 0x79006e54U);

  node->Release();  // the disk answers at last, into guest memory
  loop.RunUntilIdle();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(guest->Legacy(virtio::kLegacyStatus, 1), 0U);
  EXPECT_EQ(node->in_flight(), 0U);
  EXPECT_EQ(guest->ring(0).BytesOf(sent).substr(0, 512), std::string(512, 'x'));
  const std::string before =
      guest->guest().Text(FakeGuest::kFirst, guest->guest().used_bytes() - FakeGuest::kFirst);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->guest().Text(FakeGuest::kFirst, guest->guest().used_bytes() - FakeGuest::kFirst), before);
}

TEST_F(BlkDeviceTest, StoppedRequestIsSavedAndSubmittedAtTheDestination) {
  BlkDeviceConfig config;
  config.on_error = [](const BlkError&) { return true; };
  config.read_errors = BlkErrorPolicy::kStop;
  Start(std::move(config));
  guest->StartModern({});
  const SentChain sent = SendRead(0, 0);
  guest->Kick(0);
  loop.RunUntilIdle();
  node->Fail(BlkStatus::kIoError);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(0).NextUsed(), std::nullopt);
  guest->device().Quiesce([] {});
  loop.RunUntilIdle();
  StateDocument saved;
  guest->device().Save(StateWriter(saved, "/dev"));

  FakeVirtioGuest other(guest->memory(), BlkDevice::Create({}, loop, node).value());
  ASSERT_TRUE(other.device().Load(StateReader(saved, "/dev")).has_value());
  other.device().Resume();
  loop.RunUntilIdle();
  ASSERT_EQ(node->in_flight(), 1U);
  node->Release();
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(0).NextUsed(), (Used{sent.id, 513}));
  other.device().Quiesce([] {});
  loop.RunUntilIdle();
}

TEST_F(BlkDeviceTest, ImageOfAnotherSizeIsRefused) {
  Start({});
  StateDocument saved;
  guest->device().Save(StateWriter(saved, "/dev"));
  auto larger = std::make_shared<HangingBlockNode>(2 * kDiskBytes);
  FakeVirtioGuest other(BlkDevice::Create({}, loop, larger).value());
  const Result<> loaded = other.device().Load(StateReader(saved, "/dev"));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, testing::HasSubstr("32768 sectors, node disk0 has 65536"));
}

struct BlkFactoryTest : testing::Test {
  BlkFactoryTest() {
    host.buses[""] = &board.root;
    host.io_loops[""] = &loop;
    host.io_loops["io1"] = &loop;
    host.nodes["d0"] = node;
  }
  ~BlkFactoryTest() override { loop.RunUntilIdle(); }
  Result<std::unique_ptr<Device>> Create(const boost::json::object& options) {
    return VirtioBlkPciFactory().create(host, "disk0", options);
  }
  std::string Refusal(boost::json::object options) {
    options.emplace("drive", "d0");
    const auto made = Create(options);
    return made ? "it was made" : made.error().message;
  }
  ManualLoop loop;
  std::shared_ptr<MemoryBlockNode> node = std::make_shared<MemoryBlockNode>(kDiskBytes);
  FakePciBoard board;
  FakeHost host;
};

TEST_F(BlkFactoryTest, OptionsReachTheDevice) {
  auto made = Create({{"drive", "d0"},
                      {"serial", "SN"},
                      {"num-queues", "4"},
                      {"queue-size", "128"},
                      {"iothread", "io1"},
                      {"write-cache", "off"},
                      {"logical_block_size", "4k"},
                      {"bootindex", "1"},
                      {"addr", "5"},
                      {"disable-legacy", "on"}})
                  .value();
  auto& device = dynamic_cast<VirtioPciDevice&>(*made);
  EXPECT_EQ(device.StatePath(), "/machine/pcie.0/05.0");
  EXPECT_EQ(device.boot_choice()->index, 1);
  EXPECT_EQ(device.boot_choice()->path_end, "/disk@0,0");
  EXPECT_EQ(device.pci()->msix_vectors(), 5U);
  EXPECT_EQ(device.pci()->ReadConfig(0, 4), 0x10421af4U);
  EXPECT_EQ(device.device().queue_count(), 4U);
  EXPECT_EQ(device.device().MaxQueueSize(0), 128);
  blk::Config shown;
  std::memcpy(&shown, device.device().Config().data(), sizeof(shown));
  EXPECT_EQ(shown.seg_max, 126U);
  EXPECT_EQ(shown.blk_size, 4096U);
  EXPECT_EQ(shown.writeback, 0);
}

TEST_F(BlkFactoryTest, ImpossibleOptionsAreRefusedInWords) {
  EXPECT_THAT(Refusal({{"queue-size", "100"}}), testing::HasSubstr("queue-size=100 is impossible"));
  EXPECT_THAT(Refusal({{"num-queues", "0"}}), testing::HasSubstr("num-queues=0"));
  EXPECT_THAT(Refusal({{"serial", std::string(21, 'x')}}), testing::HasSubstr("at most 20 bytes"));
  EXPECT_THAT(Refusal({{"logical_block_size", "100"}}),
              testing::HasSubstr("logical_block_size=100 is no block size"));
  EXPECT_THAT(Refusal({{"logical_block_size", "4096"}, {"physical_block_size", "512"}}),
              testing::HasSubstr("physical_block_size=512 is less"));
  EXPECT_THAT(Refusal({{"rerror", "enospc"}}), testing::HasSubstr("a read takes no space"));
  EXPECT_THAT(Refusal({{"cyls", "16"}}), testing::HasSubstr("cyls, heads and secs belong together"));
  EXPECT_THAT(Refusal({{"scsi", "on"}}), testing::HasSubstr("scsi=on cannot be served"));
  EXPECT_THAT(Refusal({{"share-rw", "on"}}), testing::HasSubstr("leave share-rw out"));
  EXPECT_THAT(Refusal({{"iothread", "io9"}}), testing::HasSubstr("iothread 'io9'"));
  EXPECT_THAT(Refusal({{"write-cach", "on"}}), testing::HasSubstr("write-cache"));
  EXPECT_THAT(Create({}).error().message, testing::HasSubstr("drive is missing"));
  EXPECT_THAT(Create({{"drive", "d1"}}).error().message, testing::HasSubstr("there is no drive 'd1'"));
}

// QEMU 9.0: queues go round, or each is given to one iothread by number.
TEST(IothreadVqMapping, QueuesGoRoundOrWhereTheyAreSent) {
  EXPECT_EQ(QueueEntries({{"a", {}}, {"b", {}}}, 5).value(), (std::vector<size_t>{0, 1, 0, 1, 0}));
  EXPECT_EQ(QueueEntries({{"a", {{2}}}, {"b", {{0, 1}}}}, 3).value(), (std::vector<size_t>{1, 1, 0}));
}

TEST(IothreadVqMapping, ContradictionsAreRefusedInWords) {
  using testing::HasSubstr;
  const auto refusal = [](const std::vector<IothreadVqMapping>& mapping) {
    const auto entries = QueueEntries(mapping, 2);
    return entries ? "accepted" : entries.error().message;
  };
  EXPECT_THAT(refusal({}), HasSubstr("it is empty"));
  EXPECT_THAT(refusal({{"a", {}}, {"a", {}}}), HasSubstr("'a' is there twice"));
  EXPECT_THAT(refusal({{"a", {{0}}}, {"b", {}}}), HasSubstr("in every entry or in none"));
  EXPECT_THAT(refusal({{"a", {{0, 2}}}}), HasSubstr("queue 2 of iothread 'a' does not exist"));
  EXPECT_THAT(refusal({{"a", {{0}}}, {"b", {{0, 1}}}}), HasSubstr("queue 0 is given to 'a' and to 'b'"));
  EXPECT_THAT(refusal({{"a", {{0}}}}), HasSubstr("queue 1 has no iothread"));
}

TEST_F(BlkFactoryTest, MappingNamesIothreads) {
  const auto mapping = [](const char* second) {
    return boost::json::array{boost::json::object{{"iothread", "io1"}},
                              boost::json::object{{"iothread", second}}};
  };
  EXPECT_THAT(Refusal({{"num-queues", 2}, {"iothread-vq-mapping", mapping("io9")}}),
              testing::HasSubstr("iothread 'io9'"));
  EXPECT_THAT(Refusal({{"iothread", "io1"}, {"iothread-vq-mapping", mapping("io1")}}),
              testing::HasSubstr("exclude each other"));
  EXPECT_THAT(Refusal({{"iothread-vq-mapping", "io1"}}), testing::HasSubstr("iothread-vq-mapping"));
}

TEST_F(BlkFactoryTest, DiskOfOddSizeNeedsAFittingBlockSize) {
  host.nodes["d0"] = std::make_shared<MemoryBlockNode>(kDiskBytes + 512);
  EXPECT_THAT(Refusal({{"logical_block_size", "4096"}}),
              testing::HasSubstr("no multiple of logical_block_size=4096"));
}

}  // namespace
}  // namespace nandu
