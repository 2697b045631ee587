// The legacy interface of transitional devices: I/O ports, one page-aligned ring, no FEATURES_OK.
#include <gtest/gtest.h>

#include "devices/virtio/fake_virtio_device.h"
#include "devices/virtio/virtio_pci_transport.h"
#include "support/fake_virtio_guest.h"

namespace nandu {
namespace {

using namespace virtio;  // NOLINT: the room's own constants

struct VirtioPciLegacyTest : testing::Test {
  VirtioPciLegacyTest() {
    auto made = std::make_unique<FakeVirtioDevice>();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made));
  }
  ~VirtioPciLegacyTest() override {
    device->hold_quiesce = false;
    device->FinishQuiesce();
    guest->device().Quiesce([] {});
  }
  FakeVirtioDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TEST_F(VirtioPciLegacyTest, OffersWhatLegacyDriversKnow) {
  guest->MapBars();
  EXPECT_EQ(guest->Legacy(kLegacyHostFeatures, 4),
            0x15 | kNotifyOnEmpty | kAnyLayout | kIndirectDesc | kEventIndex | kBadFeature);
}

TEST_F(VirtioPciLegacyTest, DriverStartsAndIsServed) {
  guest->StartLegacy();
  EXPECT_EQ(guest->Legacy(kLegacyStatus, 1), 7U);
  ASSERT_NE(device->Find(1), nullptr);
  const SentChain sent = guest->ring(1).Chain().Readable("abc").Writable(4).Send();
  std::optional<DescChain> chain = device->Find(1)->queue.Pop();
  ASSERT_TRUE(chain.has_value());
  device->Find(1)->queue.Complete(std::move(*chain), 4);
  EXPECT_EQ(guest->ring(1).NextUsed(), (Used{sent.id, 4}));
  EXPECT_TRUE(guest->intx());
  EXPECT_EQ(guest->Legacy(kLegacyIsr, 1), kIsrQueue);
  EXPECT_FALSE(guest->intx());
}

TEST_F(VirtioPciLegacyTest, QueuesLiveBeforeDriverOk) {
  guest->StartLegacy(0, /*driver_ok=*/false);
  ASSERT_NE(device->Find(0), nullptr);
  ASSERT_NE(device->Find(1), nullptr);
  EXPECT_EQ(device->activations, 1U);  // the second one joined
  (void)guest->SetLegacy(kLegacyStatus, 1, 7);
  EXPECT_EQ(device->activations, 1U);
}

TEST_F(VirtioPciLegacyTest, RingIsLaidOutFromItsPage) {
  guest->StartLegacy();
  (void)guest->SetLegacy(kLegacyQueueSelect, 2, 0);
  EXPECT_EQ(guest->Legacy(kLegacyQueuePage, 4), guest->ring(0).config().descriptors >> 12);
  EXPECT_EQ(guest->Modern(kQueueSelect, 2), 0U);
  EXPECT_EQ(guest->Modern(kQueueDriver, 4), guest->ring(0).config().driver);
  EXPECT_EQ(guest->Modern(kQueueDevice, 4), guest->ring(0).config().device);
}

TEST_F(VirtioPciLegacyTest, PageZeroResetsTheDevice) {
  guest->StartLegacy();
  (void)guest->SetLegacy(kLegacyQueuePage, 4, 0);
  EXPECT_EQ(guest->Legacy(kLegacyStatus, 1), 0U);
  EXPECT_TRUE(device->active.empty());
}

TEST_F(VirtioPciLegacyTest, ResetWithARequestInFlightReadsZeroOnlyWhenItIsOver) {
  guest->StartLegacy();
  device->hold_quiesce = true;
  const ExitDone exit = guest->SetLegacy(kLegacyStatus, 1, 0);
  ASSERT_NE(exit.token(), nullptr);
  EXPECT_FALSE(exit.token()->signalled());
  EXPECT_NE(guest->Legacy(kLegacyStatus, 1), 0U);
  device->FinishQuiesce();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(guest->Legacy(kLegacyStatus, 1), 0U);
}

TEST_F(VirtioPciLegacyTest, BadFeatureMeansNothingIsNegotiated) {
  guest->MapBars();
  (void)guest->SetLegacy(kLegacyGuestFeatures, 4, 0xffffffff);
  EXPECT_EQ(device->accepted, 0U);
  EXPECT_EQ(guest->Legacy(kLegacyGuestFeatures, 4), 0U);
}

TEST_F(VirtioPciLegacyTest, WhatWasNotOfferedIsNotAccepted) {
  guest->MapBars();
  (void)guest->SetLegacy(kLegacyGuestFeatures, 4, 0x7 | kIndirectDesc);
  EXPECT_EQ(device->accepted, 0x5 | kIndirectDesc);
}

TEST_F(VirtioPciLegacyTest, OldDriversNeverEnableBusMaster) {
  guest->MapBars();
  (void)guest->SetCommand(pci::kCommandIo);
  (void)guest->SetLegacy(kLegacyStatus, 1, kStatusAcknowledge | kStatusDriver);
  EXPECT_TRUE(guest->function().bus_master());
}

TEST_F(VirtioPciLegacyTest, ConfigurationMovesWhenMsixIsEnabled) {
  guest->MapBars();
  device->config[0] = std::byte{0x5a};
  EXPECT_EQ(guest->Legacy(20, 1), 0x5aU);
  guest->EnableMsix();
  EXPECT_EQ(guest->Legacy(24, 1), 0x5aU);
  (void)guest->SetLegacy(kLegacyConfigVector, 2, 3);
  EXPECT_EQ(guest->Legacy(kLegacyConfigVector, 2), 3U);
  (void)guest->SetLegacy(kLegacyQueueVector, 2, 9);
  EXPECT_EQ(guest->Legacy(kLegacyQueueVector, 2), kNoVector);
}

TEST_F(VirtioPciLegacyTest, MalformedRingBreaksOnlyItsQueue) {
  guest->StartLegacy();
  guest->ring(0).SendMalformed(Malformed::kHeadRange);
  EXPECT_FALSE(device->Find(0)->queue.Pop().has_value());
  EXPECT_EQ(guest->Legacy(kLegacyStatus, 1), 7U);  // no such bit as NEEDS_RESET
  EXPECT_TRUE(device->Find(0)->queue.broken());
  EXPECT_FALSE(device->Find(1)->queue.broken());
}

TEST_F(VirtioPciLegacyTest, NotifyPortSignalsTheQueue) {
  guest->StartLegacy();
  guest->KickLegacy(1);
  guest->KickLegacy(7);
  EXPECT_EQ(guest->transport().counters().slow_kicks.value(), 1U);
}

}  // namespace
}  // namespace nandu
