// The guest half: features, configuration space, pairs, state and options.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "devices/virtio/net/net_test_support.h"
#include "state/document.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

NetSetup FourPairs() {
  NetSetup setup;
  setup.backend.pairs = 4;
  setup.options.mq = true;
  return setup;
}

TEST(NetDevice, OffersWhatQemuOffersOverATapThatCanEverything) {
  FakeNetBackend backend;
  // qemu-system-x86_64 7.2, virtio-net-pci over such a tap, bits 0 to 23: everything but MTU, reserved bits
  // and MQ.
  EXPECT_EQ(NetFeatures({}, backend), 0xbfffe7ULL & ~uint64_t{net::kFeatureMq});
}

TEST(NetDevice, OffersNoOffloadsWithoutAHeader) {
  NetSetup setup;
  setup.backend.vnet_header = false;
  FakeNetBackend backend(setup.backend);
  EXPECT_EQ(NetFeatures({}, backend) & (net::kGuestOffloads | net::kFeatureCsum | net::kFeatureHostTso4), 0U);
}

TEST(NetDevice, LeavesOutWhatDependsOnWhatIsOff) {
  FakeNetBackend backend;
  VirtioNetOptions options;
  options.guest_csum = false;
  options.ctrl_vq = false;
  const uint64_t features = NetFeatures(options, backend);
  EXPECT_EQ(features & net::kGuestOffloads, 0U);
  EXPECT_EQ(features & (net::kFeatureCtrlRx | net::kFeatureCtrlVlan | net::kFeatureGuestAnnounce), 0U);
}

TEST(NetDevice, ShowsItsAddressAndLink) {
  NetGuest nic;
  nic.Start();
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset, 4), 0x12005452U);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 4, 2), 0x5634U);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 6, 2), 1U);
}

TEST(NetDevice, ALinkThatGoesDownInterrupts) {
  NetGuest nic;
  nic.Start();
  const size_t before = nic.guest->interrupts(0);
  nic.device->SetLink(false);
  nic.device->SetLink(false);
  EXPECT_EQ(nic.guest->interrupts(0), before + 1);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 6, 2), 0U);
}

TEST(NetDevice, AWriteToTheConfigurationChangesNothing) {
  NetGuest nic;
  nic.Start();
  (void)nic.guest->SetModern(virtio::kDeviceOffset, 4, 0xffffffff);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset, 4), 0x12005452U);
  EXPECT_EQ(nic.counters().ignored_config_writes.value(), 1U);
}

TEST(NetDevice, ALegacyDriverWithoutTheCommandWritesItsAddress) {
  NetGuest nic;
  nic.guest->StartLegacy(static_cast<uint32_t>(net::kFeatureCtrlMacAddr));
  for (unsigned i = 0; i < 6; ++i) {
    (void)nic.guest->SetLegacy((nic.guest->function().msix_enabled() ? 24 : 20) + i, 1, 2 * i + 2);
  }
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->Legacy(nic.guest->function().msix_enabled() ? 24 : 20, 4), 0x08060402U);
}

TEST(NetDevice, TellsTheMtu) {
  NetSetup setup;
  setup.options.host_mtu = 9000;
  NetGuest nic(setup);
  nic.Start();
  EXPECT_NE(nic.guest->features() & net::kFeatureMtu, 0U);
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 10, 2), 9000U);
}

TEST(NetDevice, OnePairIsActiveUntilTheDriverAsks) {
  NetGuest nic(FourPairs());
  nic.Start();
  EXPECT_EQ(nic.guest->Modern(virtio::kDeviceOffset + 8, 2), 4U);
  EXPECT_EQ(nic.backend->active_pairs, 1U);
  EXPECT_TRUE(nic.backend->wire(0).receiving);
  EXPECT_FALSE(nic.backend->wire(3).receiving);
  const SentChain command =
      nic.guest->ring(8).Chain().Readable(std::string("\4\0\4\0", 4)).Writable(1).Send();
  nic.Kick(8);
  EXPECT_EQ(nic.guest->ring(8).BytesOf(command), std::string(1, '\0'));
  EXPECT_EQ(nic.backend->active_pairs, 4U);
  EXPECT_TRUE(nic.backend->wire(3).receiving);
  const SentChain buffer = nic.guest->ring(6).Chain().Writable(512).Send();
  nic.Kick(6);
  nic.backend->Deliver(Frame(60), 3);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->ring(6).NextUsed(), (Used{buffer.id, 72}));
}

TEST(NetDevice, PairsOutOfRangeAreRefused) {
  NetGuest nic(FourPairs());
  nic.Start();
  const SentChain none = nic.guest->ring(8).Chain().Readable(std::string("\4\0\0\0", 4)).Writable(1).Send();
  const SentChain many = nic.guest->ring(8).Chain().Readable(std::string("\4\0\5\0", 4)).Writable(1).Send();
  nic.Kick(8);
  EXPECT_EQ(nic.guest->ring(8).BytesOf(none), "\1");
  EXPECT_EQ(nic.guest->ring(8).BytesOf(many), "\1");
  EXPECT_EQ(nic.backend->active_pairs, 1U);
}

TEST(NetDevice, WithoutMqTheControlQueueIsTheThird) {
  NetGuest nic(FourPairs());
  nic.Start(net::kFeatureMq);
  const SentChain command = nic.guest->ring(2).Chain().Readable(std::string("\0\0\0", 3)).Writable(1).Send();
  nic.Kick(2);
  EXPECT_EQ(nic.guest->ring(2).BytesOf(command), std::string(1, '\0'));
}

TEST(NetDevice, ABackendThatFailsNeedsAReset) {
  NetGuest nic;
  nic.backend->fail = Error{Errc::kIo, 0, "tap 'tap0': cannot set its offloads"};
  nic.Start();
  EXPECT_EQ(nic.guest->Status() & 0x40, 0x40);
}

TEST(NetDevice, AQueueIsResetAndStartedAgainAlone) {
  NetGuest nic;
  nic.Start();
  nic.GiveBuffer(512);
  nic.Kick(0);
  (void)nic.guest->SetModern(virtio::kQueueSelect, 2, 0);
  (void)nic.guest->SetModern(virtio::kQueueReset, 2, 1);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->Modern(virtio::kQueueReset, 2), 0U);
  const std::string header(net::kHeaderBytes, '\0');
  nic.guest->ring(1).Chain().Readable(header + Frame(60)).Send();
  nic.Kick(1);
  EXPECT_EQ(nic.backend->wire().sent.size(), 1U);
  nic.guest->StartQueue(0);
  nic.loop.RunUntilIdle();
  const SentChain buffer = nic.GiveBuffer(512);
  nic.Kick(0);
  nic.Deliver(Frame(60));
  EXPECT_EQ(nic.Received(), (Used{buffer.id, 72}));
}

TEST(NetDevice, WhatTheGuestSetSurvivesASave) {
  NetGuest from(FourPairs());
  from.Start();
  const auto command = [&](const std::string& bytes) {
    from.guest->ring(8).Chain().Readable(bytes).Writable(1).Send();
    from.Kick(8);
  };
  command(std::string("\0\0\0", 3));            // promiscuous off
  command(std::string("\4\0\3\0", 4));          // three pairs
  command(std::string("\2\0\7\0", 4));          // VLAN 7
  command(std::string("\1\1\2\0\0\0\0\7", 8));  // address
  from.Pause();
  StateDocument document;
  from.guest->device().Save(StateWriter(document, "/nic"));

  NetGuest to(FourPairs());
  to.Pause();
  const Result<> loaded = to.guest->device().Load(StateReader(document, "/nic"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  StateDocument again;
  to.guest->device().Save(StateWriter(again, "/nic"));
  EXPECT_EQ(again.PrettyText(), document.PrettyText());
}

TEST(NetDevice, AHostileStateIsRefused) {
  NetState good;
  const uint64_t offered = net::kFeatureMq | net::kFeatureGuestCsum;
  EXPECT_TRUE(CheckNetState(good, offered, 4));
  NetState state = good;
  state.features = net::kFeatureMtu;
  EXPECT_FALSE(CheckNetState(state, offered, 4));
  state = good;
  state.active_pairs = 0;
  EXPECT_FALSE(CheckNetState(state, offered, 4));
  state.active_pairs = 5;
  EXPECT_FALSE(CheckNetState(state, offered, 4));
  state = good;
  state.guest_offloads = net::kFeatureGuestCsum;
  EXPECT_FALSE(CheckNetState(state, offered, 4));
  state = good;
  state.unicast.resize(65);
  EXPECT_FALSE(CheckNetState(state, offered, 4));
}

struct NetFactoryTest : testing::Test {
  FakePciBoard board;
  ManualLoop io;
  FakeHost host;
  std::shared_ptr<FakeNetBackend> backend = std::make_shared<FakeNetBackend>();
  std::unique_ptr<Device> made;

  void SetUp() override {
    host.buses[""] = &board.root;
    host.io_loops[""] = &io;
    host.nets["net0"] = backend;
  }
  std::string Create(const boost::json::object& options) {
    Result<std::unique_ptr<Device>> device = VirtioNetPciFactory().create(host, "nic0", options);
    if (!device) {
      return device.error().message;
    }
    made = std::move(*device);
    return "";
  }
};

TEST_F(NetFactoryTest, MakesACardFromText) {
  EXPECT_EQ(Create({{"netdev", "net0"},
                    {"mac", "52-54-00-AB-cd-01"},
                    {"guest_tso4", "off"},
                    {"rx_queue_size", "1024"}}),
            "");
  EXPECT_EQ(made->driver(), "virtio-net-pci");
  EXPECT_EQ(made->id(), "nic0");
}

TEST_F(NetFactoryTest, ACardWithoutANetdevGoesNowhere) { EXPECT_EQ(Create({}), ""); }

TEST_F(NetFactoryTest, MistakesAreSentences) {
  EXPECT_NE(Create({{"netdev", "net9"}}), "");
  EXPECT_NE(Create({{"netdev", "net0"}, {"mac", "52:54:00:12:34"}}).find("no Ethernet address"),
            std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"mac", "52:54:00:12:34:5g"}}).find("no Ethernet address"),
            std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"mac", "01:00:5e:00:00:01"}}).find("group address"),
            std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"rx_queue_size", "300"}}).find("power of two"), std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"tx", "timer"}}).find("not served"), std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"romfile", "x.rom"}}).find("firmware file"), std::string::npos);
  EXPECT_EQ(Create({{"netdev", "net0"}, {"romfile", ""}}), "");
  EXPECT_NE(Create({{"netdev", "net0"}, {"duplex", "both"}}).find("neither half nor full"),
            std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"rss", "on"}}).find("not served"), std::string::npos);
  EXPECT_NE(Create({{"netdev", "net0"}, {"mrg_rxbfu", "on"}}).find("mrg_rxbuf"), std::string::npos);
}

}  // namespace
}  // namespace nandu
