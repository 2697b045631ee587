// Rings in the kernel: what it is given, how it interrupts, and how a ring comes back.
#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include "base/unique_fd.h"
#include "devices/virtio/net/net_test_support.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"
#include "support/fake_vhost.h"

namespace nandu {
namespace {

struct NetVhostTest : testing::Test {
  NetSetup WithKernel() const {
    NetSetup setup;
    setup.kernel = {kernel};
    return setup;
  }
  SentChain SendFrame(NetGuest& nic) {
    return nic.guest->ring(1).Chain().Readable(std::string(12, 0) + Frame(60)).Send();
  }

  std::shared_ptr<FakeVhostPair> kernel = std::make_shared<FakeVhostPair>();
};

TEST_F(NetVhostTest, KernelGetsMemoryRingsAndDoorbells) {
  NetGuest nic(WithKernel());
  nic.Start();

  ASSERT_EQ(kernel->rings.size(), 2U);
  EXPECT_EQ(kernel->accepted.value() & net::kFeatureMrgRxbuf, net::kFeatureMrgRxbuf);
  ASSERT_EQ(kernel->memory.size(), 1U);
  EXPECT_EQ(kernel->memory[0].bytes, nic.guest->guest().size_bytes());
  const QueueConfig& config = nic.guest->ring(1).config();
  const VhostRing& tx = kernel->rings.at(1);
  const auto* base = static_cast<const std::byte*>(kernel->memory[0].host) - kernel->memory[0].guest;
  EXPECT_EQ(tx.size, config.size);
  EXPECT_EQ(tx.descriptors, base + config.descriptors);
  EXPECT_EQ(tx.available, base + config.driver);
  EXPECT_EQ(tx.used, base + config.device);
  EXPECT_EQ(nic.counters().kernel_rings.value(), 2U);
  SendFrame(nic);
  nic.Kick(1);
  eventfd_t kicks = 0;
  EXPECT_EQ(::eventfd_read(tx.kick_fd, &kicks), 0) << "the doorbell is the kernel's to read";
  EXPECT_TRUE(nic.backend->wire().sent.empty());
}

TEST_F(NetVhostTest, RingThatComesBackGoesOnWhereTheKernelStood) {
  NetGuest nic(WithKernel());
  nic.Start();
  const SentChain first = SendFrame(nic);
  EXPECT_EQ(kernel->Serve(1), 1U);
  const SentChain second = SendFrame(nic);

  nic.Pause();
  EXPECT_TRUE(kernel->rings.empty());
  nic.Resume();

  EXPECT_EQ(kernel->rings.at(1).next_avail, 1);
  EXPECT_EQ(kernel->Serve(1), 1U);
  EXPECT_EQ(nic.guest->ring(1).NextUsed()->id, first.id);
  EXPECT_EQ(nic.guest->ring(1).NextUsed()->id, second.id);
}

TEST_F(NetVhostTest, WithoutAnIrqfdTheLoopInterrupts) {
  NetGuest nic(WithKernel());
  nic.Start();
  const size_t before = nic.guest->interrupts(2);
  SendFrame(nic);
  kernel->Serve(1);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->interrupts(2), before + 1);
}

TEST_F(NetVhostTest, InterruptOfTheLastMomentIsNotLost) {
  NetGuest nic(WithKernel());
  nic.Start();
  const size_t before = nic.guest->interrupts(2);
  SendFrame(nic);
  nic.guest->device().Quiesce([] {});
  kernel->Serve(1);  // written, and the ring is taken back before the loop looks
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->interrupts(2), before + 1);
}

// The irqfd takes interrupts past us while the vector may be delivered, and only then.
TEST_F(NetVhostTest, IrqfdIsUsedWhileTheVectorIsUnmasked) {
  NetGuest nic(WithKernel());
  nic.guest->board().msi.SetFd(2, 1234);
  nic.Start();
  EXPECT_EQ(kernel->rings.at(1).call_fd, 1234);
  const int others = kernel->rings.at(0).call_fd;
  EXPECT_NE(others, 1234);

  constexpr uint64_t kVector2 = FakeVirtioGuest::kMsixBase + 16 * 2;
  (void)nic.guest->board().memory.Write(kVector2 + 12, 4, 1);
  const int masked = kernel->rings.at(1).call_fd;
  EXPECT_NE(masked, 1234) << "before the exit ends";
  const size_t before = nic.guest->interrupts(2);
  SendFrame(nic);
  kernel->Serve(1);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(nic.guest->interrupts(2), before) << "pending";
  (void)nic.guest->board().memory.Write(kVector2 + 12, 4, 0);
  EXPECT_EQ(nic.guest->interrupts(2), before + 1);
  EXPECT_EQ(kernel->rings.at(1).call_fd, 1234);

  const auto control = static_cast<uint16_t>(nic.guest->function().FindCapability(pci::kCapMsix) + 2);
  (void)nic.guest->SetConfig(control, 2, pci::kMsixControlEnable | pci::kMsixControlMask);
  EXPECT_NE(kernel->rings.at(1).call_fd, 1234);
  (void)nic.guest->SetConfig(control, 2, pci::kMsixControlEnable);
  EXPECT_EQ(kernel->rings.at(1).call_fd, 1234);

  (void)nic.guest->SetModern(virtio::kQueueSelect, 2, 1);
  (void)nic.guest->SetModern(virtio::kQueueVector, 2, 3);
  EXPECT_NE(kernel->rings.at(1).call_fd, 1234) << "that vector has no irqfd";
}

TEST_F(NetVhostTest, MemoryThatChangesReachesTheKernel) {
  NetGuest nic(WithKernel());
  nic.Start();
  const unsigned tables = kernel->memory_tables;
  std::vector<RamRange> ranges = nic.guest->guest().memory()->ranges();
  ranges.push_back(ranges[0]);
  ranges[1].base = uint64_t{1} << 32;
  nic.guest->board().root.SetMemory(std::make_shared<const GuestMemory>(ranges));
  EXPECT_GT(kernel->memory_tables, tables);
  ASSERT_EQ(kernel->memory.size(), 2U);
  EXPECT_EQ(kernel->memory[1].guest, uint64_t{1} << 32);
}

TEST_F(NetVhostTest, WhatTheKernelRefusesIsServedHere) {
  kernel->refuse = "VHOST_NET_SET_BACKEND of vhost-net: Bad address";
  NetGuest nic(WithKernel());
  nic.Start();
  EXPECT_TRUE(kernel->rings.empty());
  EXPECT_EQ(nic.counters().kernel_refusals.value(), 1U) << "it is asked once";
  SendFrame(nic);
  nic.Kick(1);
  EXPECT_EQ(nic.backend->wire().sent.size(), 1U);
  nic.GiveBuffer(2000);
  nic.Kick(0);
  nic.Deliver(Frame(60));
  EXPECT_TRUE(nic.Received().has_value());
}

TEST_F(NetVhostTest, LinkThatIsDownTakesTheRingsBack) {
  NetGuest nic(WithKernel());
  nic.Start();
  nic.device->SetLink(false);
  nic.loop.RunUntilIdle();
  EXPECT_TRUE(kernel->rings.empty());
  const SentChain dropped = SendFrame(nic);
  nic.Kick(1);
  EXPECT_EQ(nic.guest->ring(1).NextUsed()->id, dropped.id);
  EXPECT_EQ(nic.counters().tx_link_down.value(), 1U);

  nic.device->SetLink(true);
  nic.loop.RunUntilIdle();
  EXPECT_EQ(kernel->rings.at(1).next_avail, 1);
}

TEST_F(NetVhostTest, SecondPairGoesToTheKernelWhenTheDriverUsesIt) {
  const auto second = std::make_shared<FakeVhostPair>();
  NetSetup setup = WithKernel();
  setup.backend.pairs = 2;
  setup.options.mq = true;
  setup.kernel.push_back(second);
  NetGuest nic(setup);
  nic.Start();
  EXPECT_EQ(kernel->rings.size(), 2U);
  EXPECT_TRUE(second->rings.empty());

  const auto use_pairs = [&nic](uint16_t pairs) {
    std::string command{4, 0};
    command += static_cast<char>(pairs);
    command += '\0';
    nic.guest->ring(4).Chain().Readable(command).Writable(1).Send();
    nic.Kick(4);
  };
  second->on_start = [&nic] { EXPECT_EQ(nic.backend->active_pairs, 2U) << "attached first"; };
  use_pairs(2);
  EXPECT_EQ(second->rings.size(), 2U);
  use_pairs(1);
  EXPECT_TRUE(second->rings.empty());
  EXPECT_EQ(kernel->rings.size(), 2U);
}

TEST(NetVhostFactory, WhatTheKernelCannotDoIsNotOffered) {
  ManualLoop loop;
  FakePciBoard board;
  FakeHost host;
  host.buses[""] = &board.root;
  host.io_loops[""] = &loop;
  const auto backend = std::make_shared<FakeNetBackend>();
  const auto kernel = std::make_shared<FakeVhostPair>();
  kernel->offered &= ~net::kFeatureMrgRxbuf;
  backend->kernel = {kernel};
  host.nets["n"] = backend;
  auto made = VirtioNetPciFactory().create(host, "nic", {{"netdev", "n"}, {"packed", "on"}}).value();
  auto& device = dynamic_cast<VirtioPciDevice&>(*made);
  EXPECT_EQ(device.device().Features() & net::kFeatureMrgRxbuf, 0U);
  EXPECT_EQ(device.transport().offered() & (virtio::kRingPacked | virtio::kRingReset), 0U);
  EXPECT_NE(device.transport().offered() & virtio::kEventIndex, 0U);
  made.reset();
  loop.RunUntilIdle();
}

}  // namespace
}  // namespace nandu
