// virtio-rng: its data half over a fake driver, and the device over its registers.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/rng/rng_factory.h"
#include "support/fake_clock.h"
#include "support/fake_driver.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"
#include "support/fake_virtio_guest.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

class ConstantSource final : public EntropySource {
 public:
  size_t Fill(std::span<const iovec> into, size_t bytes) override {
    size_t left = bytes;
    for (const iovec& to : into) {
      std::memset(to.iov_base, 0xff, std::min(to.iov_len, left));
      left -= std::min(to.iov_len, left);
    }
    return bytes;
  }
};

struct RngQueueTest : testing::Test {
  void Start(const RngLimit& limit = {}) {
    rng = std::make_shared<RngQueue>(loop, clock, source, limit);
    timer = clock.CreateTimer([this] { rng->Refill(); });
    rng->SetTimer(timer.get());
    rng->Start({0, driver.TakeQueue(), driver.doorbell()}, {});
  }
  void TearDown() override { rng->Stop(); }

  FakeDriver driver{DriverRing::Options{.size = 8}};
  ManualLoop loop;
  FakeClock clock;
  ConstantSource source;
  std::shared_ptr<RngQueue> rng;
  std::unique_ptr<Timer> timer;
};

TEST_F(RngQueueTest, FillsWritableChainAndReportsLength) {
  Start();
  const SentChain sent = driver.Chain().Writable(16).Send();
  driver.Kick();
  loop.RunUntilIdle();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 16}));
  EXPECT_EQ(driver.BytesOf(sent), std::string(16, '\xff'));
  EXPECT_EQ(rng->counters().bytes.value(), 16U);
}

TEST_F(RngQueueTest, ReadOnlyChainReturnsZeroBytes) {
  Start();
  const SentChain sent = driver.Chain().Readable("give me").Send();
  rng->Serve();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(rng->counters().empty_replies.value(), 1U);
}

TEST_F(RngQueueTest, HugeChainIsCapped) {
  Start();
  const SentChain sent = driver.Chain().Writable(1 << 20).Send();
  rng->Serve();
  EXPECT_EQ(driver.NextUsed(), (Used{sent.id, RngQueue::kMaxBytesPerRequest}));
}

TEST_F(RngQueueTest, LoopedChainNeedsReset) {
  Start();
  driver.ring().SendMalformed(Malformed::kLoop);
  rng->Serve();
  EXPECT_EQ(driver.why_broken(), RingFaultText(RingFault::kLoop));
}

TEST_F(RngQueueTest, RequestsBeyondTheLimitWaitForTheNextPeriod) {
  Start({.max_bytes = 24, .period_ms = 10});
  const SentChain first = driver.Chain().Writable(16).Send();
  const SentChain second = driver.Chain().Writable(16).Send();
  const SentChain third = driver.Chain().Writable(16).Send();
  rng->Serve();
  EXPECT_EQ(driver.NextUsed(), (Used{first.id, 16}));
  EXPECT_EQ(driver.NextUsed(), (Used{second.id, 8}));
  EXPECT_EQ(driver.NextUsed(), std::nullopt);
  clock.Advance(10'000'000);
  EXPECT_EQ(driver.NextUsed(), (Used{third.id, 16}));
}

TEST(HostEntropy, FillsEveryPiece) {
  std::string text(100, '\0');
  const iovec pieces[] = {{text.data(), 40}, {text.data() + 40, 60}};
  HostEntropy source;
  EXPECT_EQ(source.Fill(pieces, 90), 90U);
  EXPECT_EQ(text.substr(90), std::string(10, '\0'));
  EXPECT_NE(text.substr(40, 50), std::string(50, '\0'));
}

TEST(RngDevice, GuestReadsRandomBytes) {
  ManualLoop loop;
  FakeClock clock;
  FakeVirtioGuest guest(
      std::make_unique<RngDevice>(loop, clock, std::make_unique<ConstantSource>(), RngLimit{}));
  guest.StartModern({});
  const SentChain sent = guest.ring(0).Chain().Writable(16).Send();
  guest.Kick(0);
  loop.RunUntilIdle();
  EXPECT_EQ(guest.ring(0).NextUsed(), (Used{sent.id, 16}));
  EXPECT_EQ(guest.interrupts(1), 1U);
  guest.device().Quiesce([] {});
  loop.RunUntilIdle();
}

struct RngFactoryTest : testing::Test {
  RngFactoryTest() {
    host.buses[""] = &board.root;
    host.io_loops[""] = &loop;
  }
  ManualLoop loop;
  FakePciBoard board;
  FakeHost host;
};

TEST_F(RngFactoryTest, LooksAsQemus) {
  auto device = VirtioRngPciFactory().create(host, "rng0", {}).value();
  PciFunction& function = *device->pci();
  EXPECT_EQ(function.ReadConfig(0, 4), 0x10051af4U);
  EXPECT_EQ(function.ReadConfig(8, 4), 0x00ff0000U);
  EXPECT_EQ(function.ReadConfig(0x2c, 4), 0x00041af4U);
  EXPECT_EQ(function.msix_vectors(), 2U);
}

TEST_F(RngFactoryTest, EachNameHasItsInterfaces) {
  const DeviceFactory& old_and_new = VirtioRngPciFactory(VirtioPciVariant::kTransitional);
  const DeviceFactory& new_alone = VirtioRngPciFactory(VirtioPciVariant::kNonTransitional);
  auto first = old_and_new.create(host, "rng0", {}).value();
  auto second = new_alone.create(host, "rng1", {}).value();
  EXPECT_EQ(first->driver(), "virtio-rng-pci-transitional");
  EXPECT_EQ(first->pci()->ReadConfig(0, 4), 0x10051af4U);
  EXPECT_EQ(second->driver(), "virtio-rng-pci-non-transitional");
  EXPECT_EQ(second->pci()->ReadConfig(0, 4), 0x10441af4U);
  for (const DeviceFactory* factory : {&old_and_new, &new_alone}) {
    EXPECT_TRUE(factory->aliases.empty());
    EXPECT_EQ(factory->options()->FindField("disable-legacy"), nullptr);
    EXPECT_NE(factory->options()->FindField("max-bytes"), nullptr);
    EXPECT_THAT(factory->create(host, "rng2", {{"disable-modern", "off"}}).error().message,
                testing::HasSubstr("disable-modern"));
    EXPECT_THAT(factory->create(host, "rng2", {{"max-bytes", "0"}}).error().message,
                testing::HasSubstr("max-bytes=0"));
  }
}

TEST_F(RngFactoryTest, WhatIsNotServedIsRefusedInWords) {
  const auto refused = [&](boost::json::object options) {
    return VirtioRngPciFactory().create(host, "rng0", options).error().message;
  };
  EXPECT_THAT(refused({{"rng", "objrng0"}}), testing::HasSubstr("rng=objrng0: there is no such object"));
  EXPECT_THAT(refused({{"ats", "on"}}), testing::HasSubstr("ats=on cannot be served"));
  EXPECT_THAT(refused({{"max-bytes", "0"}}), testing::HasSubstr("max-bytes=0"));
  EXPECT_THAT(refused({{"max-byte", "1"}}), testing::HasSubstr("max-bytes"));
}

}  // namespace
}  // namespace nandu
