// Frames from guest memory to the backend.
#include "devices/virtio/net/net_test_support.h"

namespace nandu {
namespace {

const std::string kHeader(net::kHeaderBytes, '\0');

TEST(NetTx, AFrameOfSeveralDescriptorsIsSentAsItIs) {
  NetGuest nic;
  nic.Start();
  const std::string frame = Frame(100);
  const SentChain sent = nic.guest->ring(1)
                             .Chain()
                             .Readable(kHeader)
                             .Readable(frame.substr(0, 14))
                             .Readable(frame.substr(14))
                             .Send();
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(nic.backend->wire().sent, std::vector<std::string>{kHeader + frame});
  EXPECT_EQ(nic.counters().tx_bytes.value(), 100U);
}

TEST(NetTx, ABackendWithoutHeadersGetsTheFrameAlone) {
  NetSetup setup;
  setup.backend.vnet_header = false;
  NetGuest nic(setup);
  nic.Start();
  const std::string frame = Frame(60);
  nic.guest->ring(1)
      .Chain()
      .Readable(kHeader.substr(0, 5))
      .Readable(kHeader.substr(5) + frame.substr(0, 9))
      .Readable(frame.substr(9))
      .Send();
  nic.Kick(1);
  EXPECT_EQ(nic.backend->wire().sent, std::vector<std::string>{frame});
}

TEST(NetTx, ABusyBackendHoldsTheRestInTheRing) {
  NetGuest nic;
  nic.Start();
  nic.backend->SetBusy(true);
  const SentChain first = nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  const SentChain second = nic.guest->ring(1).Chain().Readable(kHeader + Frame(61)).Send();
  nic.Kick(1);
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), std::nullopt);
  EXPECT_EQ(nic.counters().tx_busy.value(), 1U);
  nic.backend->SetBusy(false);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{first.id, 0}));
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{second.id, 0}));
  EXPECT_EQ(nic.backend->wire().sent, (std::vector<std::string>{kHeader + Frame(60), kHeader + Frame(61)}));
}

TEST(NetTx, AFrameThatWaitsOverAPauseIsSentOnce) {
  NetGuest nic;
  nic.Start();
  nic.backend->SetBusy(true);
  const SentChain sent = nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  nic.Kick(1);
  nic.Pause();
  nic.backend->SetBusy(false);
  nic.loop.RunUntilIdle();
  EXPECT_TRUE(nic.backend->wire().sent.empty());
  nic.Resume();
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(nic.backend->wire().sent.size(), 1U);
}

TEST(NetTx, APausedCardLeavesNobodyWaitingForTheBackend) {
  NetGuest nic;
  nic.Start();
  nic.backend->SetBusy(true);
  nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  nic.Kick(1);
  EXPECT_TRUE(nic.backend->waits_for_room());
  nic.Pause();
  EXPECT_FALSE(nic.backend->waits_for_room());
}

TEST(NetTx, ChainsTooShortOrTooLongAreDroppedAndCounted) {
  NetGuest nic;
  nic.Start();
  const SentChain header_only = nic.guest->ring(1).Chain().Readable(kHeader).Send();
  const SentChain short_frame = nic.guest->ring(1).Chain().Readable(kHeader + Frame(13)).Send();
  const SentChain writable = nic.guest->ring(1).Chain().Writable(100).Send();
  const SentChain huge = nic.guest->ring(1).Chain().Readable(kHeader + Frame(100'000)).Send();
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{header_only.id, 0}));
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{short_frame.id, 0}));
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{writable.id, 0}));
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{huge.id, 0}));
  EXPECT_EQ(nic.counters().tx_malformed.value(), 3U);
  EXPECT_EQ(nic.counters().tx_oversize.value(), 1U);
  EXPECT_TRUE(nic.backend->wire().sent.empty());
}

TEST(NetTx, TheBackendsRefusalsAreCounted) {
  NetGuest nic;
  nic.Start();
  nic.backend->wire().down = true;
  const SentChain sent = nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(nic.counters().tx_dropped.value(), 1U);
}

TEST(NetTx, WithTheLinkDownFramesAreDropped) {
  NetGuest nic;
  nic.Start();
  nic.device->SetLink(false);
  nic.loop.RunUntilIdle();
  const SentChain sent = nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(nic.counters().tx_link_down.value(), 1U);
  EXPECT_TRUE(nic.backend->wire().sent.empty());
}

TEST(NetTx, AFullRingIsSentWithOneInterrupt) {
  NetGuest nic;
  nic.Start();
  for (int i = 0; i < 60; ++i) {
    nic.guest->ring(1).Chain().Readable(kHeader + Frame(60)).Send();
  }
  const size_t before = nic.guest->interrupts(2);
  nic.Kick(1);
  EXPECT_EQ(nic.backend->wire().sent.size(), 60U);
  EXPECT_EQ(nic.guest->interrupts(2), before + 1);
}

TEST(NetTx, ALegacyDriversHeaderIsShort) {
  NetGuest nic;
  nic.guest->StartLegacy(static_cast<uint32_t>(net::kFeatureMrgRxbuf));
  nic.loop.RunUntilIdle();
  const std::string header = kHeader.substr(0, net::kLegacyHeaderBytes);
  nic.guest->ring(1).Chain().Readable(header).Readable(Frame(60)).Send();
  nic.guest->KickLegacy(1);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.backend->wire().sent, std::vector<std::string>{header + Frame(60)});
}

}  // namespace
}  // namespace nandu
