// The transport's registers and negotiation against a device that does what the test says. Starting, stopping
// and parked exits: virtio_pci_life_test.cpp; the legacy interface: virtio_pci_legacy_test.cpp.
#include "devices/virtio/virtio_pci_transport.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "devices/virtio/fake_virtio_device.h"
#include "support/fake_virtio_guest.h"

namespace nandu {
namespace {

using namespace virtio;  // NOLINT: the room's own constants

struct VirtioPciTransportTest : testing::Test {
  void Make(const VirtioPciOptions& options = {}) {
    auto made = std::make_unique<FakeVirtioDevice>();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made), options);
  }
  VirtioPciTransportTest() { Make(); }
  ~VirtioPciTransportTest() override {
    guest->device().Quiesce([] {});
  }

  static constexpr uint8_t kFeaturesDone = kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk;
  FakeVirtioDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TEST_F(VirtioPciTransportTest, OffersItsOwnFeaturesAndTheDevices) {
  guest->MapBars();
  EXPECT_EQ(guest->Offered(), 0x15 | kIndirectDesc | kEventIndex | kVersion1 | kRingReset);
}

TEST_F(VirtioPciTransportTest, PackedRingsAreOfferedWhenAskedFor) {
  VirtioPciOptions options;
  options.packed = true;
  options.event_idx = options.queue_reset = false;
  Make(options);
  guest->MapBars();
  EXPECT_EQ(guest->Offered(), 0x15 | kIndirectDesc | kVersion1 | kRingPacked);
}

TEST_F(VirtioPciTransportTest, AcceptedFeaturesReachTheDevice) {
  const uint64_t features = guest->Negotiate(0x1);
  EXPECT_EQ(guest->Status(), kFeaturesDone);
  EXPECT_EQ(device->accepted, features);
  EXPECT_EQ(device->accepted & 0x15, 0x14U);
}

TEST_F(VirtioPciTransportTest, FeaturesThatWereNotOfferedAreRefused) {
  guest->MapBars();
  (void)guest->SetStatus(kStatusAcknowledge | kStatusDriver);
  guest->Accept(kVersion1 | 0x2);
  (void)guest->SetStatus(kFeaturesDone);
  EXPECT_EQ(guest->Status(), kStatusAcknowledge | kStatusDriver);
  EXPECT_EQ(guest->transport().counters().refused_features.value(), 1U);
  guest->Accept(kVersion1 | 0x1);
  (void)guest->SetStatus(kFeaturesDone);
  EXPECT_EQ(guest->Status(), kFeaturesDone);
}

TEST_F(VirtioPciTransportTest, PackedWithoutVersion1IsRefused) {
  VirtioPciOptions options;
  options.packed = true;
  Make(options);
  guest->MapBars();
  guest->Accept(kRingPacked);
  (void)guest->SetStatus(kFeaturesDone);
  EXPECT_EQ(guest->Status() & kStatusFeaturesOk, 0);
}

TEST_F(VirtioPciTransportTest, FeaturesAreSettledByFeaturesOk) {
  const uint64_t features = guest->Negotiate();
  guest->Accept(0);
  (void)guest->SetStatus(kFeaturesDone);
  EXPECT_EQ(device->accepted, features);
  EXPECT_GT(guest->transport().counters().ignored_accesses.value(), 0U);
}

TEST_F(VirtioPciTransportTest, QueueRegistersReadBack) {
  guest->StartModern({.queue_size = 8, .driver_ok = false});
  (void)guest->SetModern(kQueueSelect, 2, 1);
  const QueueConfig& config = guest->ring(1).config();
  EXPECT_EQ(guest->Modern(kQueueSize, 2), 8U);
  EXPECT_EQ(guest->Modern(kQueueVector, 2), 2U);
  EXPECT_EQ(guest->Modern(kQueueEnable, 2), 1U);
  EXPECT_EQ(guest->Modern(kQueueNotifyOff, 2), 1U);
  EXPECT_EQ(guest->Modern(kQueueDescriptors, 4), config.descriptors);
  EXPECT_EQ(guest->Modern(kQueueDriver, 8), config.driver);
  EXPECT_EQ(guest->Modern(kQueueDevice + 4, 4), 0U);
}

TEST_F(VirtioPciTransportTest, QueueThatIsNotThereHasSizeZero) {
  guest->Negotiate();
  (void)guest->SetModern(kQueueSelect, 2, 2);
  EXPECT_EQ(guest->Modern(kQueueSize, 2), 0U);
  EXPECT_EQ(guest->Modern(kNumQueues, 2), 2U);
  (void)guest->SetModern(kQueueEnable, 2, 1);
  (void)guest->SetModern(kQueueReset, 2, 1);
  (void)guest->SetModern(kQueueSelect, 2, 0xffff);
  EXPECT_EQ(guest->Modern(kQueueVector, 2), kNoVector);
}

TEST_F(VirtioPciTransportTest, EnabledQueueIsNotReconfigured) {
  guest->StartModern({.driver_ok = false});
  (void)guest->SetModern(kQueueSelect, 2, 0);
  (void)guest->SetModern(kQueueSize, 2, 4);
  (void)guest->SetModern(kQueueDescriptors, 4, 0x1000);
  EXPECT_EQ(guest->Modern(kQueueSize, 2), 16U);
  EXPECT_EQ(guest->Modern(kQueueDescriptors, 4), guest->ring(0).config().descriptors);
}

TEST_F(VirtioPciTransportTest, QueueSizesBeyondTheOfferAreIgnored) {
  guest->Negotiate();
  for (const uint64_t size : {uint64_t{0}, uint64_t{17}, uint64_t{0xffff}}) {
    (void)guest->SetModern(kQueueSize, 2, size);
    EXPECT_EQ(guest->Modern(kQueueSize, 2), 16U);
  }
}

TEST_F(VirtioPciTransportTest, VectorThatIsNotThereReadsBackAsNone) {
  guest->Negotiate();
  (void)guest->SetModern(kConfigVector, 2, 3);
  EXPECT_EQ(guest->Modern(kConfigVector, 2), 3U);
  (void)guest->SetModern(kConfigVector, 2, 4);
  EXPECT_EQ(guest->Modern(kConfigVector, 2), kNoVector);
  (void)guest->SetModern(kQueueVector, 2, 0xfffe);
  EXPECT_EQ(guest->Modern(kQueueVector, 2), kNoVector);
}

TEST_F(VirtioPciTransportTest, DeviceConfigurationIsBytes) {
  guest->Negotiate();
  (void)guest->SetModern(kDeviceOffset + 2, 4, 0x44332211);
  EXPECT_EQ(device->config[2], std::byte{0x11});
  EXPECT_EQ(guest->Modern(kDeviceOffset + 3, 2), 0x3322U);
  EXPECT_EQ(guest->Modern(kDeviceOffset + 6, 4), 0xffffffffU);  // beyond its end
  (void)guest->SetModern(kDeviceOffset + 8, 1, 1);
  EXPECT_EQ(guest->Modern(kDeviceOffset, 8), 0x443322110000U);
}

TEST_F(VirtioPciTransportTest, DoorbellWithoutAnIoeventfdSignalsTheQueue) {
  guest->StartModern({});
  eventfd_t count = 0;
  ASSERT_EQ(::eventfd_read(device->Find(1)->doorbell->fd(), &count), 0);  // the activation's
  guest->Kick(1);
  EXPECT_EQ(::eventfd_read(device->Find(1)->doorbell->fd(), &count), 0);
  EXPECT_EQ(count, 1U);
  guest->Kick(2);  // no such queue
  EXPECT_EQ(guest->transport().counters().slow_kicks.value(), 1U);
}

TEST_F(VirtioPciTransportTest, QueueInterruptsByItsVector) {
  guest->StartModern({});
  device->Find(1)->queue.NotifyAlways();
  EXPECT_EQ(guest->interrupts(2), 1U);
  EXPECT_FALSE(guest->intx());
  (void)guest->SetModern(kQueueSelect, 2, 1);
  (void)guest->SetModern(kQueueVector, 2, kNoVector);
  device->Find(1)->queue.NotifyAlways();
  EXPECT_EQ(guest->interrupts(2), 1U);
}

TEST_F(VirtioPciTransportTest, WithoutMsixTheIsrSaysWhy) {
  guest->StartModern({.msix = false});
  device->Find(0)->queue.NotifyAlways();
  EXPECT_TRUE(guest->intx());
  EXPECT_EQ(guest->Modern(kIsrOffset, 1), kIsrQueue);
  EXPECT_FALSE(guest->intx());
  EXPECT_EQ(guest->Modern(kIsrOffset, 1), 0U);
  device->transport->ConfigChanged();
  EXPECT_EQ(guest->Modern(kIsrOffset, 1), kIsrQueue | kIsrConfig);
}

TEST_F(VirtioPciTransportTest, ConfigurationChangeInterruptsAndCounts) {
  guest->StartModern({});
  const uint64_t before = guest->Modern(kConfigGeneration, 1);
  device->transport->ConfigChanged();
  EXPECT_EQ(guest->Modern(kConfigGeneration, 1), before + 1);
  EXPECT_EQ(guest->interrupts(0), 1U);
}

TEST_F(VirtioPciTransportTest, NobodyIsInterruptedBeforeDriverOk) {
  guest->StartModern({.driver_ok = false});
  device->transport->ConfigChanged();
  device->transport->NeedsReset();
  EXPECT_EQ(guest->interrupts(0), 0U);
}

TEST_F(VirtioPciTransportTest, MalformedRingAsksForAReset) {
  guest->StartModern({});
  guest->ring(0).SendMalformed(Malformed::kLoop);
  EXPECT_FALSE(device->Find(0)->queue.Pop().has_value());
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning | kStatusNeedsReset);
  EXPECT_EQ(guest->interrupts(0), 1U);
  (void)guest->SetStatus(FakeVirtioGuest::kRunning);  // only a reset takes it away
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning | kStatusNeedsReset);
  (void)guest->SetStatus(0);
  EXPECT_EQ(guest->Status(), 0);
  EXPECT_EQ(guest->transport().queue_counters(0).malformed.value(), 1U);
}

TEST_F(VirtioPciTransportTest, DeviceThatCannotStartAsksForAReset) {
  device->fail_activation = true;
  guest->StartModern({});
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning | kStatusNeedsReset);
  guest->Kick(0);
  EXPECT_EQ(device->activations, 1U);  // it is not tried again before a reset
  device->fail_activation = false;
  guest->StartModern({});
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning);
}

// virtio 1.2, 4.1.4.9: registers through configuration space, for firmware that maps no BARs.
TEST_F(VirtioPciTransportTest, WindowInConfigurationSpaceReachesRegisters) {
  guest->MapBars();
  constexpr uint16_t kWindow = 0x84;  // where the identity test finds it
  const auto aim = [&](uint32_t bar, uint32_t offset, uint32_t length) {
    (void)guest->SetConfig(kWindow + 4, 1, bar);
    (void)guest->SetConfig(kWindow + 8, 4, offset);
    (void)guest->SetConfig(kWindow + 12, 4, length);
  };
  aim(kModernBar, kDeviceStatus, 1);
  (void)guest->SetConfig(kWindow + 16, 1, kStatusAcknowledge);
  EXPECT_EQ(guest->Status(), kStatusAcknowledge);
  EXPECT_EQ(guest->Config(kWindow + 16, 4), kStatusAcknowledge);
  EXPECT_EQ(guest->Config(kWindow + 8, 4), kDeviceStatus);
  aim(kModernBar, kNumQueues, 2);
  EXPECT_EQ(guest->Config(kWindow + 16, 2), 2U);

  const uint64_t before = guest->transport().counters().ignored_accesses.value();
  aim(kModernBar, kModernBarBytes, 4);
  EXPECT_EQ(guest->Config(kWindow + 16, 4), 0U);
  aim(kModernBar, 1, 4);
  EXPECT_EQ(guest->Config(kWindow + 16, 4), 0U);
  aim(kModernBar, 0, 8);
  EXPECT_EQ(guest->Config(kWindow + 16, 4), 0U);
  aim(1, 0, 4);
  (void)guest->SetConfig(kWindow + 16, 4, 1);
  EXPECT_EQ(guest->transport().counters().ignored_accesses.value(), before + 4);
}

TEST_F(VirtioPciTransportTest, EveryRegisterSurvivesEveryValue) {
  guest->MapBars();
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{0xff}, uint64_t{0xffff}, ~uint64_t{0}}) {
    for (uint64_t offset = 0; offset < kModernBarBytes; offset += offset % 0x1000 < 0x80 ? 1 : 0x80) {
      for (const unsigned size : {1U, 2U, 4U, 8U}) {
        if (offset + size <= kModernBarBytes) {
          (void)guest->Modern(offset, size);
          (void)guest->SetModern(offset, size, value);
        }
      }
    }
    for (uint64_t offset = 0; offset + 4 <= 32; ++offset) {
      for (const unsigned size : {1U, 2U, 4U}) {
        (void)guest->Legacy(offset, size);
        (void)guest->SetLegacy(offset, size, value);
      }
    }
  }
  (void)guest->SetStatus(0);
  guest->StartModern({});
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning);
}

}  // namespace
}  // namespace nandu
