// virtio-scsi: the contract suite over it, and what is its own. QEMU 7.2's answers were asked for through qtest.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/storage/scsi_disk.h"
#include "devices/virtio/device_contract.h"
#include "devices/virtio/scsi/scsi_bus.h"
#include "devices/virtio/scsi/scsi_device.h"
#include "devices/virtio/scsi/scsi_factory.h"
#include "support/fake_control_loop.h"
#include "support/fake_host.h"
#include "support/fake_virtio_guest.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

constexpr uint32_t kResponseBytes = 108;

// A request as it lies in guest memory.
std::string Head(uint8_t target, uint16_t lun, std::vector<uint8_t> cdb, const std::string& tag = "TAGTAGTA") {
  std::string head = {'\x01', static_cast<char>(target), static_cast<char>(0x40 | lun >> 8), static_cast<char>(lun)};
  head += std::string(4, '\0') + tag + std::string(3, '\0') + std::string(cdb.begin(), cdb.end());
  head.resize(19 + 32);
  return head;
}

struct Bench {
  std::unique_ptr<ScsiDevice> MakeDevice() {
    auto device = std::make_unique<ScsiDevice>(loop, ScsiHostConfig{.request_queues = 2, .queue_size = 64, .seg_max = 62});
    front = DiskFront::Create(control, loop, DiskFront::Config{}, node).value();
    fronts.push_back(front);
    ScsiDiskConfig config;
    config.identity.product = "QEMU HARDDISK";
    auto unit = std::make_shared<ScsiDisk>(front, config);
    ScsiUnitState quiet = unit->Save();
    quiet.attention.clear();  // no "powered on": the first request is served
    EXPECT_TRUE(unit->Load(quiet));
    loop.Run([&] { device->host()->Put({0, 0}, unit); });
    return device;
  }
  ~Bench() {
    Settle();
    for (std::shared_ptr<DiskFront>& each : fronts) {
      DiskFront::Close(std::move(each));
    }
    front.reset();
    loop.RunUntilIdle();
  }
  void Turn() { loop.RunUntilIdle(); }
  void Settle() {
    loop.RunUntilIdle();
    while (node->in_flight() > 0) {
      node->ReleaseAll();
      loop.RunUntilIdle();
    }
  }

  ManualLoop loop;
  FakeControlLoop control;
  std::shared_ptr<HangingBlockNode> node = std::make_shared<HangingBlockNode>(uint64_t{1} << 20);
  std::shared_ptr<DiskFront> front;
  std::vector<std::shared_ptr<DiskFront>> fronts;
};

// Its requests hang until Settle lets them go.
struct ScsiContract : Bench {
  static constexpr unsigned kQueue = 3;
  std::unique_ptr<VirtioDevice> Make() { return MakeDevice(); }
  SentChain Send(DriverRing& ring) {
    return ring.Chain()
        .Readable(Head(0, 0, {0x28, 0, 0, 0, 0, 1, 0, 0, 1}))
        .Writable(kResponseBytes)
        .Writable(512)
        .Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Scsi, VirtioDeviceContract, ScsiContract);

struct ScsiDeviceTest : testing::Test {
  void SetUp() override {
    auto made = bench.MakeDevice();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made));
    guest->StartModern({});
    EXPECT_EQ(Run(0, 0, {0}), "0 2 0") << "a unit attention after the driver's reset";
  }
  void TearDown() override {
    bench.Settle();
    guest->device().Quiesce([] {});
    bench.Settle();
    guest.reset();
    bench.Settle();
  }
  SentChain Send(uint8_t target, uint16_t lun, std::vector<uint8_t> cdb, uint32_t room) {
    auto chain = guest->ring(2).Chain();
    chain.Readable(Head(target, lun, std::move(cdb))).Writable(kResponseBytes);
    if (room > 0) {
      chain.Writable(room);
    }
    const SentChain sent = chain.Send();
    guest->Kick(2);
    return sent;
  }
  // The answer: response and status, and what came with it.
  std::string Run(uint8_t target, uint16_t lun, std::vector<uint8_t> cdb, uint32_t room = 0) {
    const SentChain sent = Send(target, lun, std::move(cdb), room);
    bench.Settle();
    const auto used = guest->ring(2).NextUsed();
    EXPECT_TRUE(used.has_value());
    const std::string bytes = guest->ring(2).BytesOf(sent);
    return Format("{} {} {}", static_cast<int>(bytes[11]), static_cast<int>(bytes[10]),
                  used ? static_cast<int>(used->length) - static_cast<int>(kResponseBytes) : -1);
  }
  int Function(uint32_t subtype, uint8_t target, uint16_t lun, bool settle = true) {
    vscsi::TmfRequest request{};
    request.subtype = subtype;
    const std::string head = Head(target, lun, {});
    std::memcpy(request.lun, head.data(), 8);
    std::memcpy(&request.tag, "TAGTAGTA", 8);
    const SentChain sent = guest->ring(0).Chain().Header(request).Writable(1).Send();
    guest->Kick(0);
    bench.loop.RunUntilIdle();
    if (settle) {
      bench.Settle();
    }
    if (!guest->ring(0).NextUsed()) {
      return -1;
    }
    return static_cast<uint8_t>(guest->ring(0).BytesOf(sent)[0]);
  }
  Bench bench;
  ScsiDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

// qemu-system-x86_64 7.2 -device virtio-scsi-pci,num_queues=2
TEST_F(ScsiDeviceTest, ConfigurationIsQemus) {
  const auto bytes = device->Config();
  const uint32_t words[9] = {2, 62, 0xffff, 0x80, 0x10, 0x60, 0x20, 0x00ff0000, 0x3fff};
  ASSERT_EQ(bytes.size(), sizeof(words));
  uint32_t seen[9];
  std::memcpy(seen, bytes.data(), sizeof(seen));
  EXPECT_THAT(seen, testing::ElementsAreArray(words));
  EXPECT_EQ(device->Features(), 6u);
}

TEST_F(ScsiDeviceTest, PlacesThatAreEmptyAnswerAsQemus) {
  EXPECT_EQ(Run(0, 0, {0}), "0 0 0");
  EXPECT_EQ(Run(9, 0, {0}), "3 0 0") << "no such target";
  EXPECT_EQ(Run(0, 1, {0}), "0 2 0") << "no such unit";
  EXPECT_EQ(Run(0, 1, {0x12, 0, 0, 1, 0}, 256), "0 0 36");
  EXPECT_EQ(Run(0, 0, {0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 256), "0 0 16");
  EXPECT_EQ(Run(0, 0, {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8}, 256), "0 2 0");
  EXPECT_EQ(Run(0, 0, {0x28, 0, 0, 0, 0, 0, 0, 0, 2}, 512), "1 0 0") << "overrun";
}

TEST_F(ScsiDeviceTest, TaskFunctionsAnswerAsQemus) {
  EXPECT_EQ(Function(0, 0, 0), 0);
  EXPECT_EQ(Function(2, 0, 0), 11);
  EXPECT_EQ(Function(9, 0, 0), 11);
  EXPECT_EQ(Function(6, 0, 0), 0);
  EXPECT_EQ(Function(5, 0, 1), 12);
  EXPECT_EQ(Function(5, 9, 0), 3);
  EXPECT_EQ(Function(5, 0, 0), 0);
  EXPECT_EQ(Run(0, 0, {0}), "0 2 0") << "a unit attention after the reset";
  EXPECT_EQ(Run(0, 0, {0}), "0 0 0");
}

TEST_F(ScsiDeviceTest, AnAbortedTaskIsOverWhenTheFunctionIs) {
  const SentChain sent = Send(0, 0, {0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 512);
  bench.loop.RunUntilIdle();
  ASSERT_EQ(bench.node->in_flight(), 1u);
  EXPECT_EQ(Function(6, 0, 0, false), 10) << "it is there";
  EXPECT_EQ(Function(0, 0, 0, false), -1) << "not over yet";
  bench.Settle();
  EXPECT_TRUE(guest->ring(2).NextUsed().has_value());
  EXPECT_EQ(guest->ring(2).BytesOf(sent)[11], 2) << "aborted";
  EXPECT_TRUE(guest->ring(0).NextUsed().has_value());
}

TEST_F(ScsiDeviceTest, AGrowingDiskIsAnEventOrAMissedOne) {
  bench.node->Grow(uint64_t{2} << 20);
  bench.loop.Run([&] { device->host()->CapacityChanged({0, 0}); });
  bench.loop.RunUntilIdle();
  EXPECT_TRUE(device->host()->events_missed.load());
  const SentChain first = guest->ring(1).Chain().Writable(16).Send();
  guest->Kick(1);
  bench.loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(1).BytesOf(first), std::string("\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0", 16));
  const SentChain second = guest->ring(1).Chain().Writable(16).Send();
  guest->Kick(1);
  bench.loop.Run([&] { device->host()->CapacityChanged({0, 0}); });
  bench.loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(1).BytesOf(second), std::string("\x03\0\0\0\x01\0\x40\0\0\0\0\0\x2a\x09\0\0", 16));
}

TEST_F(ScsiDeviceTest, MalformedRequestsAreAnsweredAndCounted) {
  guest->ring(2).Chain().Readable("short").Writable(kResponseBytes).Send();
  guest->ring(2).Chain().Readable(Head(0, 0, {0})).Writable(4).Send();
  guest->ring(0).Chain().Readable("x").Writable(1).Send();
  guest->Kick(2);
  guest->Kick(0);
  bench.Settle();
  EXPECT_EQ(device->host()->counters().short_requests.value(), 3u);
  EXPECT_TRUE(guest->ring(2).NextUsed().has_value());
}

TEST(ScsiFactory, PlacesAreChosenAsQemuDoes) {
  FakeHost host;
  ManualLoop loop;
  host.io_loops[""] = &loop;
  PciBus::Options options;
  options.id = "pcie.0";
  options.spaces = {&host.memory, &host.io};
  PciBus root(std::move(options));
  host.buses[""] = &root;
  for (const char* name : {"a", "b", "c"}) {
    host.nodes[name] = std::make_shared<MemoryBlockNode>(uint64_t{1} << 20, name);
  }
  auto controller = VirtioScsiPciFactory(VirtioPciVariant::kPlain).create(host, "s0", {}).value();
  std::vector<std::unique_ptr<Device>> units;
  const auto add = [&](const DeviceFactory& factory, const boost::json::object& parameters) {
    auto made = factory.create(host, "u", parameters);
    if (!made) {
      return made.error().message;
    }
    units.push_back(std::move(*made));
    const ScsiPlace place = dynamic_cast<ScsiUnitDevice&>(*units.back()).place();
    return Format("{}:{}", place.target, place.lun);
  };
  EXPECT_EQ(add(ScsiHdFactory(), {{"drive", "a"}}), "0:0");
  EXPECT_EQ(add(ScsiHdFactory(), {{"drive", "b"}, {"bus", "s0.0"}}), "1:0");
  EXPECT_EQ(add(ScsiCdFactory(), {{"scsi-id", "1"}}), "1:1");
  EXPECT_EQ(add(ScsiHdFactory(), {{"drive", "c"}, {"scsi-id", "1"}, {"lun", "1"}}),
            "u: scsi-id=1, lun=1 on s0.0 is taken");
  EXPECT_EQ(add(ScsiHdFactory(), {{"drive", "c"}, {"bus", "s1.0"}}),
            "u: there is no SCSI bus 's1.0'; name it as ID.0 of a -device virtio-scsi-pci before it");
  EXPECT_EQ(add(ScsiHdFactory(), {}), "u: drive is missing; name a -drive id or a -blockdev node-name: drive=disk0");
  loop.RunUntilIdle();
  units.clear();
  controller.reset();
  loop.RunUntilIdle();
}

}  // namespace
}  // namespace nandu
