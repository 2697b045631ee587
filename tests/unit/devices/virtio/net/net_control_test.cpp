// The control queue's commands and the receive filter.
#include "devices/virtio/net/net_filter.h"
#include "devices/virtio/net/net_test_support.h"

namespace nandu {
namespace {

constexpr unsigned kControl = 2;  // with one pair

struct NetControlTest : testing::Test {
  void Start(uint64_t without = 0) { nic.Start(without); }
  // Sends a command and answers its ack.
  int Command(uint8_t control_class, uint8_t command, const std::string& data = {}) {
    const std::string header = {static_cast<char>(control_class), static_cast<char>(command)};
    DriverRing::Request request = nic.guest->ring(kControl).Chain();
    request.Readable(header);
    if (!data.empty()) {
      request.Readable(data);
    }
    const SentChain sent = request.Writable(1).Send();
    nic.Kick(kControl);
    const std::optional<Used> used = nic.guest->ring(kControl).NextUsed();
    EXPECT_EQ(used, (Used{sent.id, 1}));
    return nic.guest->ring(kControl).BytesOf(sent)[0];
  }
  static std::string Bytes(uint64_t value, size_t bytes) {
    return std::string(reinterpret_cast<const char*>(&value), bytes);
  }
  static std::string Text(const net::Mac& mac) {
    return std::string(reinterpret_cast<const char*>(mac.data()), mac.size());
  }
  bool Arrives(const std::string& frame) {
    const SentChain buffer = nic.GiveBuffer(2048);
    nic.Kick(0);
    nic.Deliver(frame);
    const bool arrived = nic.Received().has_value();
    if (!arrived) {  // the buffer goes to one that is always wanted
      EXPECT_EQ(Command(0, 0, Bytes(1, 1)), 0);
      nic.Deliver(Frame(60));
      EXPECT_TRUE(nic.Received());
      EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
    }
    return arrived;
  }

  NetGuest nic;
  const net::Mac own = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  const net::Mac other = {0x52, 0x54, 0, 0, 0, 1};
  const net::Mac group = {0x01, 0, 0x5e, 0, 0, 1};
  const net::Mac everybody = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
};

TEST_F(NetControlTest, AFreshDeviceReceivesEverything) {
  Start();
  EXPECT_TRUE(Arrives(Frame(60, other)));
  EXPECT_TRUE(Arrives(Frame(60, group)));
}

TEST_F(NetControlTest, WithoutPromiscuityItsOwnAndBroadcastsArrive) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_TRUE(Arrives(Frame(60, own)));
  EXPECT_TRUE(Arrives(Frame(60, everybody)));
  EXPECT_FALSE(Arrives(Frame(60, other)));
  EXPECT_FALSE(Arrives(Frame(60, group)));
}

TEST_F(NetControlTest, TheTableAddsAddresses) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_EQ(Command(1, 0, Bytes(1, 4) + Text(other) + Bytes(1, 4) + Text(group)), 0);
  EXPECT_TRUE(Arrives(Frame(60, other)));
  EXPECT_TRUE(Arrives(Frame(60, group)));
  EXPECT_FALSE(Arrives(Frame(60, {0x52, 0, 0, 0, 0, 9})));
}

TEST_F(NetControlTest, ATableThatOverflowsMeansAllOfThatKind) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_EQ(Command(1, 0, Bytes(65, 4) + std::string(65 * 6, '\2') + Bytes(0, 4)), 0);
  EXPECT_TRUE(Arrives(Frame(60, other)));
  EXPECT_FALSE(Arrives(Frame(60, group)));
}

TEST_F(NetControlTest, TablesThatLieAreRefusedAndChangeNothing) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_EQ(Command(1, 0, Bytes(1, 4) + Text(other) + Bytes(0, 4)), 0);
  EXPECT_EQ(Command(1, 0, Bytes(0xffffffff, 4) + Text(group)), 1);
  EXPECT_EQ(Command(1, 0, Bytes(1, 4) + Text(group)), 1);
  EXPECT_EQ(Command(1, 0, Bytes(0, 4) + Bytes(0, 4) + "x"), 1);
  EXPECT_EQ(Command(1, 0, Bytes(0, 3)), 1);
  EXPECT_EQ(Command(1, 0), 1);
  EXPECT_TRUE(Arrives(Frame(60, other)));
}

TEST_F(NetControlTest, ModesForWholeKinds) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_EQ(Command(0, 1, Bytes(1, 1)), 0);
  EXPECT_TRUE(Arrives(Frame(60, group)));
  EXPECT_EQ(Command(0, 3, Bytes(1, 1)), 0);
  EXPECT_FALSE(Arrives(Frame(60, group)));
  EXPECT_EQ(Command(0, 2, Bytes(1, 1)), 0);
  EXPECT_TRUE(Arrives(Frame(60, other)));
  EXPECT_EQ(Command(0, 4, Bytes(1, 1)), 0);
  EXPECT_FALSE(Arrives(Frame(60, own)));
  EXPECT_EQ(Command(0, 5, Bytes(1, 1)), 0);
  EXPECT_FALSE(Arrives(Frame(60, everybody)));
}

TEST_F(NetControlTest, VlansAreFilteredWhenNegotiated) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  std::string tagged = Frame(64, own);
  tagged.replace(12, 4, std::string("\x81\x00\x60\x05", 4));  // priority 3, VLAN 5
  EXPECT_FALSE(Arrives(tagged));
  EXPECT_EQ(Command(2, 0, Bytes(5, 2)), 0);
  EXPECT_TRUE(Arrives(tagged));
  EXPECT_EQ(Command(2, 1, Bytes(5, 2)), 0);
  EXPECT_FALSE(Arrives(tagged));
  EXPECT_EQ(Command(2, 0, Bytes(4096, 2)), 1);
  EXPECT_EQ(Command(2, 2, Bytes(5, 2)), 1);
}

TEST_F(NetControlTest, WithoutCtrlVlanEveryVlanArrives) {
  Start(net::kFeatureCtrlVlan);
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  std::string tagged = Frame(64, own);
  tagged.replace(12, 4, std::string("\x81\x00\x00\x05", 4));
  EXPECT_TRUE(Arrives(tagged));
  EXPECT_EQ(Command(2, 0, Bytes(5, 2)), 1);
}

TEST_F(NetControlTest, ANewAddressShowsInTheConfigurationAndTheFilter) {
  Start();
  EXPECT_EQ(Command(0, 0, Bytes(0, 1)), 0);
  EXPECT_EQ(Command(1, 1, Text(other)), 0);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset, 4), 0x00005452U);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 4, 2), 0x0100U);
  EXPECT_TRUE(Arrives(Frame(60, other)));
  EXPECT_FALSE(Arrives(Frame(60, own)));
  EXPECT_EQ(Command(1, 1, "short"), 1);
}

TEST_F(NetControlTest, GuestOffloadsTurnOffAndOn) {
  Start();
  EXPECT_TRUE(nic.backend->receive_offloads.tso4);
  EXPECT_EQ(Command(5, 0, Bytes(net::kFeatureGuestCsum, 8)), 0);
  EXPECT_TRUE(nic.backend->receive_offloads.csum);
  EXPECT_FALSE(nic.backend->receive_offloads.tso4);
  EXPECT_EQ(Command(5, 0, Bytes(net::kGuestOffloads, 8)), 0);
  EXPECT_TRUE(nic.backend->receive_offloads.tso4);
  EXPECT_EQ(Command(5, 0, Bytes(uint64_t{1} << 11, 8)), 1);
  EXPECT_EQ(Command(5, 1, Bytes(0, 8)), 1);
  EXPECT_EQ(Command(5, 0, Bytes(0, 4)), 1);
}

TEST_F(NetControlTest, OffloadsThatWereNotNegotiatedStayOff) {
  Start(net::kFeatureGuestTso4);
  EXPECT_FALSE(nic.backend->receive_offloads.tso4);
  EXPECT_EQ(Command(5, 0, Bytes(net::kFeatureGuestTso4, 8)), 1);
}

TEST_F(NetControlTest, AnnouncementsAreAskedForAndAcknowledged) {
  Start();
  const size_t before = nic.guest->interrupts(0);
  nic.device->Announce();
  EXPECT_EQ(nic.guest->interrupts(0), before + 1);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 6, 2), 3U);
  EXPECT_EQ(Command(3, 0), 0);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 6, 2), 1U);
  EXPECT_EQ(Command(3, 0), 1);
}

TEST_F(NetControlTest, GarbageIsAnsweredWithAnError) {
  Start();
  EXPECT_EQ(Command(0, 6, Bytes(1, 1)), 1);
  EXPECT_EQ(Command(0, 0, Bytes(2, 1)), 1);
  EXPECT_EQ(Command(0, 0), 1);
  EXPECT_EQ(Command(1, 2, "123456"), 1);
  EXPECT_EQ(Command(4, 0, Bytes(1, 2)), 1);  // MQ was not negotiated
  EXPECT_EQ(Command(6, 0, "x"), 1);
  EXPECT_EQ(Command(255, 255, std::string(1000, '\xff')), 1);
  EXPECT_EQ(Command(1, 0, Bytes(20000, 4) + std::string(120000, '\2') + Bytes(0, 4)), 1);
  EXPECT_EQ(nic.counters().control_refused.value(), 8U);
}

TEST_F(NetControlTest, ACommandWithoutAPlaceForTheAnswerIsCounted) {
  Start();
  const SentChain no_ack = nic.guest->ring(kControl).Chain().Readable(std::string("\0\0\0", 3)).Send();
  const SentChain no_command = nic.guest->ring(kControl).Chain().Writable(1).Send();
  nic.Kick(kControl);
  EXPECT_EQ(nic.guest->ring(kControl).NextUsed(), (Used{no_ack.id, 0}));
  EXPECT_EQ(nic.guest->ring(kControl).NextUsed(), (Used{no_command.id, 1}));
  EXPECT_EQ(nic.guest->ring(kControl).BytesOf(no_command), "\x01");
  EXPECT_EQ(nic.counters().control_malformed.value(), 1U);
}

TEST(NetFilter, AnOversizedVlanIdOfAShortFrameIsNotRead) {
  NetState state;
  state.promiscuous = false;
  state.features = net::kFeatureCtrlVlan;
  state.mac = {2, 0, 0, 0, 0, 1};
  const uint8_t frame[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00};
  EXPECT_TRUE(FrameIsWanted(state, frame));
}

}  // namespace
}  // namespace nandu
