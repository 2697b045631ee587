// virtio-balloon over its registers, what monitors command, and its factory.
#include "devices/virtio/balloon/balloon_device.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/virtio/balloon/balloon_factory.h"
#include "state/document.h"
#include "support/fake_clock.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"
#include "support/fake_virtio_guest.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using testing::HasSubstr;

constexpr uint64_t kConfig = virtio::kDeviceOffset;
constexpr uint64_t kActual = kConfig + 4;
constexpr uint64_t kPoison = kConfig + 12;

struct BalloonDeviceTest : testing::Test {
  void Make(const BalloonDeviceConfig& config = {}) {
    control = std::make_shared<BalloonControl>(control_loop, clock, [this] { ++changes; });
    guest = std::make_unique<FakeVirtioGuest>(std::make_unique<BalloonDevice>(config, loop, clock, control));
  }
  void TearDown() override {
    guest->device().Quiesce([] {});
    loop.RunUntilIdle();
    guest.reset();
  }
  StateDocument Save() const {
    StateDocument document;
    guest->device().Save(StateWriter(document, "/dev"));
    return document;
  }

  ManualLoop loop;
  FakeControlLoop control_loop;
  FakeClock clock;
  unsigned changes = 0;
  std::shared_ptr<BalloonControl> control;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TEST_F(BalloonDeviceTest, ATargetInterruptsAndIsRead) {
  Make();
  guest->StartModern({});
  control->SetTarget(1000);
  EXPECT_EQ(guest->interrupts(0), 1U);
  EXPECT_EQ(guest->Modern(kConfig, 4), 1000U);
}

TEST_F(BalloonDeviceTest, TheDriverSaysWhatItGave) {
  Make();
  guest->StartModern({});
  (void)guest->SetModern(kActual, 4, 256);
  (void)guest->SetModern(kActual, 4, 512);
  EXPECT_EQ(control->actual_pages(), 512U);
  EXPECT_EQ(changes, 0U);
  control_loop.RunReady();
  EXPECT_EQ(changes, 1U);
  (void)guest->SetModern(kActual, 4, 512);
  control_loop.RunReady();
  EXPECT_EQ(changes, 1U);
}

TEST_F(BalloonDeviceTest, ALegacyDriversNumberCountsOnceItsLastByteIsWritten) {
  Make();
  guest->StartLegacy();
  const uint64_t actual = virtio::kLegacyConfig + 4U;
  for (unsigned byte = 0; byte < 4; ++byte) {
    EXPECT_EQ(control->actual_pages(), 0U);
    (void)guest->SetLegacy(actual + byte, 1, 0x01020304U >> (8 * byte) & 0xff);
  }
  EXPECT_EQ(control->actual_pages(), 0x01020304U);
}

TEST_F(BalloonDeviceTest, OtherRegistersAreTheDevices) {
  Make();
  guest->StartModern({.without = balloon::kFeaturePagePoison});
  (void)guest->SetModern(kConfig, 4, 5);
  (void)guest->SetModern(kConfig + 8, 4, 5);
  (void)guest->SetModern(kPoison, 4, 5);
  EXPECT_EQ(guest->Modern(kConfig, 4), 0U);
  EXPECT_EQ(guest->Modern(kConfig + 8, 4), 0U);
  EXPECT_EQ(guest->Modern(kPoison, 4), 0U);
  EXPECT_EQ(static_cast<BalloonDevice&>(guest->device().device()).counters().ignored_config_writes.value(),
            3U);
}

TEST_F(BalloonDeviceTest, AResetForgetsTheDriverAndKeepsTheTarget) {
  Make();
  guest->StartModern({});
  control->SetTarget(7);
  (void)guest->SetModern(kPoison, 4, 0xaa);
  EXPECT_EQ(guest->Modern(kPoison, 4), 0xaaU);
  (void)guest->SetStatus(0);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->Modern(kPoison, 4), 0U);
  EXPECT_EQ(guest->Modern(kConfig, 4), 7U);
}

TEST_F(BalloonDeviceTest, FeaturesAndQueuesFollowTheOptions) {
  Make({.deflate_on_oom = true, .free_page_reporting = true});
  guest->MapBars();
  EXPECT_EQ(guest->Offered() & 0x3f, 0x36U);
  EXPECT_EQ(guest->Modern(virtio::kNumQueues, 2), 4U);
  (void)guest->SetModern(virtio::kQueueSelect, 2, 3);
  EXPECT_EQ(guest->Modern(virtio::kQueueSize, 2), 32U);
}

TEST_F(BalloonDeviceTest, StateComesBack) {
  Make();
  guest->StartModern({});
  control->SetTarget(7);
  (void)guest->SetModern(kActual, 4, 5);
  (void)guest->SetModern(kPoison, 4, 0xaa);
  guest->device().Quiesce([] {});
  loop.RunUntilIdle();
  const StateDocument saved = Save();
  const std::shared_ptr<FakeGuest> memory = guest->memory();
  guest.reset();
  Make();
  ASSERT_TRUE(guest->device().Load(StateReader(saved, "/dev")).has_value());
  EXPECT_EQ(Save().Serialize(), saved.Serialize());
  EXPECT_EQ(control->actual_pages(), 5U);
  EXPECT_EQ(guest->Modern(kPoison, 4), 0xaaU);
}

TEST_F(BalloonDeviceTest, AStateThatCannotBeIsRefused) {
  Make({.page_poison = false});
  BalloonDevice& device = static_cast<BalloonDevice&>(guest->device().device());
  const auto load = [&](const BalloonState& state) {
    StateDocument document;
    StateWriter(document, "/dev").Put(state);
    const Result<> loaded = device.Load(StateReader(document, "/dev"));
    return loaded ? std::string() : loaded.error().message;
  };
  EXPECT_THAT(load({.features = balloon::kFeaturePagePoison}), HasSubstr("features 0x10"));
  EXPECT_THAT(load({.target = 1, .poison = 1}), HasSubstr("poison value without the feature"));
  EXPECT_EQ(control->Copy().target, 0U);
}

TEST_F(BalloonDeviceTest, StatisticsAreAskedForOverTheLoop) {
  Make({.stats_interval_s = 1});
  guest->StartModern({});
  const balloon::Stat free_memory{4, 4096};
  const SentChain sent = guest->ring(balloon::kStatsQueue).Chain().Header(free_memory).Send();
  guest->Kick(balloon::kStatsQueue);
  loop.RunUntilIdle();
  EXPECT_EQ(control->Stats().values[4], 4096U);
  clock.Advance(1'000'000'000);
  EXPECT_EQ(guest->ring(balloon::kStatsQueue).NextUsed(), std::nullopt);
  loop.RunUntilIdle();
  EXPECT_EQ(guest->ring(balloon::kStatsQueue).NextUsed(), (Used{sent.id, 0}));
}

TEST_F(BalloonDeviceTest, AControlOutlivesItsDevice) {
  Make();
  const std::shared_ptr<BalloonControl> kept = control;
  guest.reset();
  kept->SetTarget(5);
  kept->SetStatsInterval(5);
  EXPECT_EQ(kept->actual_pages(), 0U);
  Make();
}

struct BalloonFactoryTest : testing::Test {
  BalloonFactoryTest() {
    host.buses[""] = &board.root;
    host.io_loops[""] = &loop;
    host.io_loops["io0"] = &loop;
  }
  Result<std::unique_ptr<Device>> Create(const boost::json::object& options) {
    return VirtioBalloonPciFactory().create(host, "balloon0", options);
  }
  ManualLoop loop;
  FakePciBoard board;
  FakeHost host;
};

TEST_F(BalloonFactoryTest, LooksAsQemus) {
  auto device = Create({}).value();
  PciFunction& function = *device->pci();
  EXPECT_EQ(function.ReadConfig(0, 4), 0x10021af4U);
  EXPECT_EQ(function.ReadConfig(8, 4), 0x00ff0000U);
  EXPECT_EQ(function.ReadConfig(0x2c, 4), 0x00051af4U);
  EXPECT_EQ(function.msix_vectors(), 0U);
  ASSERT_EQ(function.Bars().size(), 2U);
  EXPECT_EQ(function.Bars()[0].size_bytes, 0x40U);
}

TEST_F(BalloonFactoryTest, TheConfigurationIsAsLongAsQemus) {
  auto device = Create({{"page-poison", "off"}, {"free-page-reporting", "on"}}).value();
  EXPECT_EQ(device->pci()->Bars()[0].size_bytes, 0x20U);
  device.reset();
  device = Create({{"page-poison", "off"}, {"qemu-4-0-config-size", "on"}}).value();
  EXPECT_EQ(device->pci()->Bars()[0].size_bytes, 0x40U);
}

TEST_F(BalloonFactoryTest, OptionsReachTheDevice) {
  auto device =
      Create({{"guest-stats-polling-interval", "3"}, {"iothread", "io0"}, {"deflate-on-oom", "on"}}).value();
  ASSERT_NE(host.balloon(), nullptr);
  EXPECT_EQ(host.balloon()->stats_interval_s(), 3U);
  EXPECT_EQ(host.fake_clock.armed(), 1U);
}

TEST_F(BalloonFactoryTest, ThereIsOneAtATime) {
  auto device = Create({}).value();
  EXPECT_THAT(Create({}).error().message, HasSubstr("balloon0: there is a memory balloon already"));
  device.reset();
  EXPECT_EQ(host.balloon(), nullptr);
  EXPECT_TRUE(Create({}).has_value());
}

TEST_F(BalloonFactoryTest, WhatIsNotServedIsRefusedInWords) {
  const auto refused = [&](const boost::json::object& options) { return Create(options).error().message; };
  EXPECT_THAT(refused({{"free-page-hint", "on"}}), HasSubstr("free-page-hint=on cannot be served"));
  EXPECT_THAT(refused({{"migrate-extra", "off"}}), HasSubstr("migrate-extra=off cannot be served"));
  EXPECT_THAT(refused({{"iothread", "io9"}}), HasSubstr("balloon0: there is no iothread 'io9'"));
  EXPECT_THAT(refused({{"guest-stats-polling-interval", "-1"}}), HasSubstr("guest-stats-polling-interval"));
  EXPECT_THAT(refused({{"deflate-on-om", "on"}}), HasSubstr("deflate-on-oom"));
}

}  // namespace
}  // namespace nandu
