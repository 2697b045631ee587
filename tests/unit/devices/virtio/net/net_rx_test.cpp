// Frames from the backend into guest memory.
#include "devices/virtio/net/net_test_support.h"

namespace nandu {
namespace {

constexpr uint32_t kHeader = net::kHeaderBytes;

TEST(NetRx, AFrameFillsOneBuffer) {
  NetGuest nic;
  nic.Start();
  const SentChain buffer = nic.GiveBuffer(2048);
  nic.Kick(0);
  nic.backend->header = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a";
  const std::string frame = Frame(100);
  nic.Deliver(frame);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 100}));
  const std::string bytes = nic.BytesOf(buffer);
  EXPECT_EQ(bytes.substr(0, 10), nic.backend->header);
  EXPECT_EQ(NetGuest::NumBuffers(bytes), 1U);
  EXPECT_EQ(bytes.substr(kHeader, 100), frame);
  EXPECT_EQ(nic.counters().rx_frames.value(), 1U);
  EXPECT_EQ(nic.counters().rx_bytes.value(), 100U);
}

TEST(NetRx, AFrameSpansMergeableBuffers) {
  NetGuest nic;
  nic.Start();
  std::vector<SentChain> buffers;
  for (int i = 0; i < 4; ++i) {
    buffers.push_back(nic.GiveBuffer(100));
  }
  nic.Kick(0);
  const std::string frame = Frame(250);
  nic.Deliver(frame);
  EXPECT_EQ(nic.Received(), (Used{buffers[0].id, 100}));
  EXPECT_EQ(nic.Received(), (Used{buffers[1].id, 100}));
  EXPECT_EQ(nic.Received(), (Used{buffers[2].id, kHeader + 250 - 200}));
  EXPECT_EQ(nic.Received(), std::nullopt);
  const std::string first = nic.BytesOf(buffers[0]);
  EXPECT_EQ(NetGuest::NumBuffers(first), 3U);
  const std::string all =
      first.substr(kHeader) + nic.BytesOf(buffers[1]) + nic.BytesOf(buffers[2]).substr(0, 62);
  EXPECT_EQ(all, frame);
}

TEST(NetRx, FramesWithoutBuffersStayInTheBackend) {
  NetGuest nic;
  nic.Start();
  const unsigned reads = nic.backend->wire().reads;
  nic.Deliver(Frame(60));
  nic.Deliver(Frame(61));
  EXPECT_EQ(nic.backend->wire().reads, reads);
  EXPECT_EQ(nic.backend->wire().incoming.size(), 2U);
  const SentChain buffer = nic.GiveBuffer(2048);
  const SentChain second = nic.GiveBuffer(2048);
  nic.Kick(0);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 60}));
  EXPECT_EQ(nic.Received(), (Used{second.id, kHeader + 61}));
}

TEST(NetRx, TheRestOfALongFrameWaitsForMoreBuffers) {
  NetGuest nic;
  nic.Start();
  const SentChain first = nic.GiveBuffer(512);
  nic.Kick(0);
  const std::string frame = Frame(1200);
  nic.Deliver(frame);
  EXPECT_EQ(nic.Received(), std::nullopt);
  const SentChain second = nic.GiveBuffer(512);
  nic.Kick(0);
  EXPECT_EQ(nic.Received(), std::nullopt);
  const SentChain third = nic.GiveBuffer(512);
  nic.Kick(0);
  EXPECT_EQ(nic.Received(), (Used{first.id, 512}));
  EXPECT_EQ(nic.Received(), (Used{second.id, 512}));
  EXPECT_EQ(nic.Received(), (Used{third.id, kHeader + 1200 - 1024}));
  EXPECT_EQ(NetGuest::NumBuffers(nic.BytesOf(first)), 3U);
  EXPECT_EQ(nic.BytesOf(first).substr(kHeader) + nic.BytesOf(second) +
                nic.BytesOf(third).substr(0, kHeader + 1200 - 1024),
            frame);
}

TEST(NetRx, AFrameLongerThanTheWholeRingIsDropped) {
  NetGuest nic;
  nic.Start(0, 4);
  std::vector<SentChain> buffers;
  for (int i = 0; i < 4; ++i) {
    buffers.push_back(nic.GiveBuffer(64));
  }
  nic.Kick(0);
  nic.Deliver(Frame(1000));
  nic.Deliver(Frame(40));
  EXPECT_EQ(nic.counters().rx_oversize.value(), 1U);
  EXPECT_EQ(nic.Received(), (Used{buffers[0].id, kHeader + 40}));
  EXPECT_EQ(nic.Received(), std::nullopt);
}

TEST(NetRx, ASegmentedPacketOf64KiBArrivesWhole) {
  NetGuest nic;
  nic.Start();
  std::vector<SentChain> buffers;
  for (int i = 0; i < 64; ++i) {
    buffers.push_back(nic.GiveBuffer(1536));
  }
  nic.Kick(0);
  const std::string frame = Frame(65550);
  nic.Deliver(frame);
  std::string all;
  for (unsigned i = 0; i < (65550 + kHeader + 1535) / 1536; ++i) {
    const std::optional<Used> used = nic.Received();
    ASSERT_TRUE(used);
    all += nic.BytesOf(buffers[i]).substr(0, used->length);
  }
  EXPECT_EQ(all.substr(kHeader), frame);
  EXPECT_EQ(NetGuest::NumBuffers(all), 43U);
}

TEST(NetRx, AFrameThatCannotBeReadWholeIsDropped) {
  NetGuest nic;
  nic.Start();
  const SentChain buffer = nic.GiveBuffer(1024);
  nic.Kick(0);
  nic.Deliver(Frame(200'000));
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.counters().rx_oversize.value(), 1U);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 60}));
}

TEST(NetRx, WithoutMergeableBuffersAFrameMustFitItsBuffer) {
  NetGuest nic;
  nic.Start(net::kFeatureMrgRxbuf);
  const SentChain buffer = nic.GiveBuffer(200);
  const SentChain second = nic.GiveBuffer(200);
  nic.Kick(0);
  nic.Deliver(Frame(189));
  EXPECT_EQ(nic.counters().rx_oversize.value(), 1U);
  nic.Deliver(Frame(188));
  EXPECT_EQ(nic.Received(), (Used{buffer.id, 200}));
  EXPECT_EQ(NetGuest::NumBuffers(nic.BytesOf(buffer)), 1U);
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), (Used{second.id, kHeader + 60}));
}

TEST(NetRx, ALegacyDriverGetsAShortHeaderInADescriptorOfItsOwn) {
  NetGuest nic;
  nic.guest->StartLegacy(static_cast<uint32_t>(net::kFeatureMrgRxbuf));
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.backend->header_bytes, net::kLegacyHeaderBytes);
  const SentChain buffer = nic.guest->ring(0).Chain().Writable(net::kLegacyHeaderBytes).Writable(1514).Send();
  nic.guest->KickLegacy(0);
  nic.loop.RunUntilIdle();
  const std::string frame = Frame(77);
  nic.Deliver(frame);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, net::kLegacyHeaderBytes + 77}));
  EXPECT_EQ(nic.BytesOf(buffer).substr(net::kLegacyHeaderBytes, 77), frame);
}

TEST(NetRx, ABackendWithoutHeadersGetsEmptyOnes) {
  NetSetup setup;
  setup.backend.vnet_header = false;
  NetGuest nic(setup);
  nic.Start();
  const SentChain buffer = nic.guest->ring(0).Chain().Writable(5).Writable(7).Writable(100).Send();
  nic.Kick(0);
  const std::string frame = Frame(60);
  nic.Deliver(frame);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 60}));
  const std::string bytes = nic.BytesOf(buffer);
  EXPECT_EQ(bytes.substr(0, 10), std::string(10, '\0'));
  EXPECT_EQ(NetGuest::NumBuffers(bytes), 1U);
  EXPECT_EQ(bytes.substr(kHeader, 60), frame);
}

TEST(NetRx, ARuntIsDropped) {
  NetGuest nic;
  nic.Start();
  const SentChain buffer = nic.GiveBuffer(2048);
  nic.Kick(0);
  nic.Deliver("short");
  nic.Deliver(Frame(14));
  EXPECT_EQ(nic.counters().rx_runt.value(), 1U);
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 14}));
}

TEST(NetRx, BuffersTooShortForAHeaderComeBackEmpty) {
  NetGuest nic;
  nic.Start();
  const SentChain tiny = nic.GiveBuffer(kHeader - 1);
  const SentChain read_only = nic.guest->ring(0).Chain().Readable("nothing to write to").Send();
  const SentChain good = nic.GiveBuffer(2048);
  nic.Kick(0);
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), (Used{tiny.id, 0}));
  EXPECT_EQ(nic.Received(), (Used{read_only.id, 0}));
  EXPECT_EQ(nic.Received(), (Used{good.id, kHeader + 60}));
  EXPECT_EQ(nic.counters().rx_bad_buffers.value(), 2U);
}

TEST(NetRx, AMalformedRingStopsItAndNothingElse) {
  for (const Malformed what : AllMalformed(false)) {
    NetGuest nic;
    nic.Start();
    nic.guest->ring(0).SendMalformed(what);
    nic.Kick(0);
    nic.Deliver(Frame(60));
    EXPECT_EQ(nic.guest->Status() & 0x40, 0x40) << "NEEDS_RESET after " << static_cast<int>(what);
    const SentChain sent = nic.guest->ring(1).Chain().Readable(std::string(kHeader, '\0') + Frame(60)).Send();
    nic.Kick(1);
    EXPECT_EQ(nic.guest->ring(1).NextUsed(), (Used{sent.id, 0}));
  }
}

TEST(NetRx, AFloodIsServedInTurns) {
  NetGuest nic;
  nic.Start();
  std::vector<SentChain> buffers;
  for (int i = 0; i < 256; ++i) {
    buffers.push_back(nic.GiveBuffer(128));
  }
  for (int i = 0; i < 1000; ++i) {
    nic.backend->wire().incoming.push_back(Frame(64));
  }
  nic.Kick(0);
  unsigned received = 0;
  while (nic.Received()) {
    ++received;
  }
  EXPECT_EQ(received, 256U);
  EXPECT_EQ(nic.backend->wire().incoming.size(), 1000U - 256U);
}

TEST(NetRx, APausedGuestLosesNothing) {
  NetGuest nic;
  nic.Start();
  const SentChain first = nic.GiveBuffer(512);
  const SentChain second = nic.GiveBuffer(512);
  nic.Kick(0);
  nic.Pause();
  EXPECT_FALSE(nic.backend->wire().receiving);
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), std::nullopt);
  nic.Resume();
  EXPECT_EQ(nic.Received(), (Used{first.id, kHeader + 60}));
  nic.Deliver(Frame(61));
  EXPECT_EQ(nic.Received(), (Used{second.id, kHeader + 61}));
}

TEST(NetRx, APauseInTheMiddleOfALongFrameGivesItsBuffersBack) {
  NetGuest nic;
  nic.Start();
  const SentChain first = nic.GiveBuffer(512);
  nic.Kick(0);
  nic.Deliver(Frame(1200));
  nic.Pause();
  nic.Resume();
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), (Used{first.id, kHeader + 60}));
}

TEST(NetRx, AResetWhileBuffersWaitLeavesThemAlone) {
  NetGuest nic;
  nic.Start();
  nic.GiveBuffer(512);
  nic.Kick(0);
  (void)nic.guest->SetStatus(0);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->Status(), 0U);
  EXPECT_FALSE(nic.backend->wire().receiving);
  nic.Start();
  const SentChain fresh = nic.GiveBuffer(512);
  nic.Kick(0);
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), (Used{fresh.id, kHeader + 60}));
}

TEST(NetRx, WithTheLinkDownFramesStayOutside) {
  NetGuest nic;
  nic.Start();
  const SentChain buffer = nic.GiveBuffer(512);
  nic.Kick(0);
  nic.device->SetLink(false);
  nic.loop.RunUntilIdle();
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), std::nullopt);
  nic.device->SetLink(true);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 60}));
}

TEST(NetRx, AFilteredFrameLeavesItsBufferToTheNext) {
  NetGuest nic;
  nic.Start();
  const SentChain buffer = nic.GiveBuffer(512);
  nic.Kick(0);
  const SentChain command = nic.guest->ring(2).Chain().Readable(std::string("\0\0\0", 3)).Writable(1).Send();
  nic.Kick(2);
  EXPECT_EQ(nic.guest->ring(2).BytesOf(command), std::string(1, '\0'));
  nic.Deliver(Frame(60, {2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(nic.Received(), std::nullopt);
  EXPECT_EQ(nic.counters().rx_filtered.value(), 1U);
  nic.Deliver(Frame(61));
  EXPECT_EQ(nic.Received(), (Used{buffer.id, kHeader + 61}));
}

}  // namespace
}  // namespace nandu
