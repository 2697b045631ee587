// When a virtio PCI device runs: exits that park until it stands still, pause and resume, save and load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "devices/virtio/fake_virtio_device.h"
#include "devices/virtio/virtio_pci_transport.h"
#include "state/document.h"
#include "support/fake_virtio_guest.h"

namespace nandu {
namespace {

using namespace virtio;  // NOLINT: the room's own constants

struct VirtioPciLifeTest : testing::Test {
  void Make(const VirtioPciOptions& options = {}) {
    auto made = std::make_unique<FakeVirtioDevice>();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made), options);
  }
  VirtioPciLifeTest() { Make(); }
  ~VirtioPciLifeTest() override {
    device->hold_quiesce = false;
    device->FinishQuiesce();
    guest->device().Quiesce([] {});
  }
  static bool Parked(const ExitDone& exit) { return exit.token() != nullptr && !exit.token()->signalled(); }

  FakeVirtioDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TEST_F(VirtioPciLifeTest, DriverOkHandsOverTheEnabledQueues) {
  guest->StartModern({.driver_ok = false});
  EXPECT_EQ(device->activations, 0U);
  (void)guest->SetStatus(FakeVirtioGuest::kRunning);
  EXPECT_EQ(device->activations, 1U);
  EXPECT_EQ(device->active.size(), 2U);
  EXPECT_EQ(device->features, guest->features());
  eventfd_t count = 0;
  EXPECT_EQ(::eventfd_read(device->active[0].doorbell->fd(), &count), 0);  // its doorbell rings once
}

TEST_F(VirtioPciLifeTest, ResetOfADeviceThatStandsStillIsOverAtOnce) {
  guest->MapBars();
  EXPECT_FALSE(Parked(guest->SetStatus(0)));
  EXPECT_EQ(device->resets, 1U);
}

TEST_F(VirtioPciLifeTest, ResetParksUntilTheDeviceStandsStill) {
  guest->StartModern({});
  device->hold_quiesce = true;
  const ExitDone exit = guest->SetStatus(0);
  ASSERT_TRUE(Parked(exit));
  EXPECT_EQ(guest->Status(), FakeVirtioGuest::kRunning);  // as another vCPU sees it
  EXPECT_EQ(device->resets, 1U);                          // StartModern's
  device->FinishQuiesce();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(guest->Status(), 0);
  EXPECT_EQ(device->resets, 2U);
  EXPECT_EQ(guest->Modern(kQueueEnable, 2), 0U);
  EXPECT_FALSE(Parked(guest->SetStatus(0)));  // done again after a load: nothing to do
}

TEST_F(VirtioPciLifeTest, TwoVcpusThatResetAreReleasedTogether) {
  guest->StartModern({});
  device->hold_quiesce = true;
  const ExitDone one = guest->SetStatus(0);
  const ExitDone two = guest->SetStatus(0);
  EXPECT_TRUE(Parked(one) && Parked(two));
  device->FinishQuiesce();
  EXPECT_FALSE(Parked(one) || Parked(two));
}

TEST_F(VirtioPciLifeTest, BusMasterOffParksAndOnGoesOnWhereItStood) {
  guest->StartModern({});
  const SentChain first = guest->ring(0).Chain().Writable(4).Send();
  std::optional<DescChain> chain = device->Find(0)->queue.Pop();
  ASSERT_TRUE(chain.has_value());
  device->hold_quiesce = true;
  const ExitDone exit = guest->SetCommand(pci::kCommandMemory);
  ASSERT_TRUE(Parked(exit));
  device->Find(0)->queue.Complete(std::move(*chain), 4);
  device->FinishQuiesce();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(guest->ring(0).NextUsed(), (Used{first.id, 4}));

  guest->ring(0).Chain().Writable(4).Send();
  device->hold_quiesce = false;
  EXPECT_FALSE(Parked(guest->SetCommand(pci::kCommandMemory | pci::kCommandMaster)));
  EXPECT_EQ(device->activations, 2U);
  std::optional<DescChain> next = device->Find(0)->queue.Pop();
  ASSERT_TRUE(next.has_value());
  device->Find(0)->queue.Complete(std::move(*next), 4);
  EXPECT_FALSE(guest->Status() & kStatusNeedsReset);
}

TEST_F(VirtioPciLifeTest, DriverOkWithoutBusMasterWaitsForIt) {
  guest->StartModern({.driver_ok = false});
  (void)guest->SetCommand(pci::kCommandMemory);
  (void)guest->SetStatus(FakeVirtioGuest::kRunning);
  EXPECT_EQ(device->activations, 0U);
  (void)guest->SetCommand(pci::kCommandMemory | pci::kCommandMaster);
  EXPECT_EQ(device->activations, 1U);
}

TEST_F(VirtioPciLifeTest, QueueResetParksAndTheOthersGoOn) {
  guest->StartModern({});
  device->hold_quiesce = true;
  (void)guest->SetModern(kQueueSelect, 2, 1);
  const ExitDone exit = guest->SetModern(kQueueReset, 2, 1);
  ASSERT_TRUE(Parked(exit));
  EXPECT_EQ(guest->Modern(kQueueReset, 2), 1U);
  EXPECT_NE(device->Find(0), nullptr);
  device->FinishQuiesce();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(guest->Modern(kQueueReset, 2), 0U);
  EXPECT_EQ(guest->Modern(kQueueEnable, 2), 0U);
  EXPECT_EQ(device->Find(1), nullptr);
  EXPECT_NE(device->Find(0), nullptr);

  guest->StartQueue(1);
  EXPECT_NE(device->Find(1), nullptr);
  EXPECT_EQ(device->activations, 1U);
}

TEST_F(VirtioPciLifeTest, QueueResetThatWasNotNegotiatedIsIgnored) {
  guest->StartModern({.without = kRingReset});
  (void)guest->SetModern(kQueueSelect, 2, 1);
  EXPECT_FALSE(Parked(guest->SetModern(kQueueReset, 2, 1)));
  EXPECT_NE(device->Find(1), nullptr);
}

TEST_F(VirtioPciLifeTest, ResetWhileAQueueResetHangsReleasesBoth) {
  guest->StartModern({});
  device->hold_quiesce = true;
  const ExitDone queue_exit = guest->SetModern(kQueueReset, 2, 1);
  const ExitDone reset_exit = guest->SetStatus(0);
  EXPECT_TRUE(Parked(queue_exit) && Parked(reset_exit));
  device->FinishQuiesce();  // the queue's, then the device's
  device->FinishQuiesce();
  EXPECT_FALSE(Parked(queue_exit) || Parked(reset_exit));
  EXPECT_EQ(guest->Status(), 0);
}

TEST_F(VirtioPciLifeTest, FunctionLevelResetParks) {
  FakePciBoard board;
  FakeBridge port("rp", board.root, 8);
  auto made = std::make_unique<FakeVirtioDevice>();
  FakeVirtioDevice& raw = *made;
  auto pci = VirtioPciDevice::Attach(port.bus, board.msi, {.id = "dev0", .driver = "virtio-rng-pci"}, {},
                                     std::move(made))
                 .value();
  port.bus.SetMemory(guest->guest().memory());
  PciFunction& function = *pci->pci();
  (void)function.WriteConfig(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandMaster);
  // Registers through the window, so that no bridge forwards for this test.
  const auto window = static_cast<uint16_t>(0xc8);
  const auto set_status = [&](uint8_t value) {
    (void)function.WriteConfig(window + 4, 1, kModernBar);
    (void)function.WriteConfig(window + 8, 4, kDeviceStatus);
    (void)function.WriteConfig(window + 12, 4, 1);
    (void)function.WriteConfig(window + 16, 1, value);
  };
  set_status(FakeVirtioGuest::kRunning);
  ASSERT_EQ(raw.activations, 1U);
  raw.hold_quiesce = true;
  const auto control =
      static_cast<uint16_t>(function.FindCapability(pci::kCapExpress) + pci::kExpressDeviceControl);
  const ExitDone exit = function.WriteConfig(control, 2, pci::kDeviceControlFlr);
  ASSERT_TRUE(Parked(exit));
  raw.FinishQuiesce();
  EXPECT_TRUE(exit.token()->signalled());
  EXPECT_EQ(pci->transport().status(), 0);
  EXPECT_EQ(raw.resets, 1U);
}

TEST_F(VirtioPciLifeTest, PauseTakesTheQueuesAndResumeGivesThemBack) {
  guest->StartModern({});
  device->park_next = {{.head = 3, .descriptors = {}}};
  device->hold_quiesce = true;
  bool paused = false;
  guest->device().Quiesce([&] { paused = true; });
  EXPECT_FALSE(paused);
  device->FinishQuiesce();
  EXPECT_TRUE(paused);
  EXPECT_TRUE(device->active.empty());
  (void)guest->SetStatus(FakeVirtioGuest::kRunning);
  EXPECT_EQ(device->activations, 1U);  // it stays paused whatever the guest writes

  guest->device().Resume();
  EXPECT_EQ(device->activations, 2U);
  ASSERT_EQ(device->requeued.size(), 1U);
  EXPECT_EQ(device->requeued[0].parked[0].head, 3);
  EXPECT_EQ(guest->interrupts(1), 1U);  // a lost interrupt is healed
  EXPECT_EQ(guest->interrupts(2), 1U);
  eventfd_t count = 0;
  EXPECT_EQ(::eventfd_read(device->active[0].doorbell->fd(), &count), 0);
}

TEST_F(VirtioPciLifeTest, ResetWhileItPausesIsOverWithThePause) {
  guest->StartModern({});
  device->hold_quiesce = true;
  bool paused = false;
  guest->device().Quiesce([&] { paused = true; });
  const ExitDone exit = guest->SetStatus(0);
  EXPECT_TRUE(Parked(exit));
  device->FinishQuiesce();
  EXPECT_TRUE(paused && exit.token()->signalled());
  EXPECT_EQ(guest->Status(), 0);
}

TEST_F(VirtioPciLifeTest, PauseThatIsGivenUpGoesOn) {
  guest->StartModern({});
  device->hold_quiesce = true;
  guest->device().Quiesce([] {});
  guest->device().Resume();
  EXPECT_EQ(device->activations, 1U);
  device->hold_quiesce = false;
  device->FinishQuiesce();
  EXPECT_EQ(device->activations, 2U);
}

TEST_F(VirtioPciLifeTest, MachineResetForgetsTheDriver) {
  guest->StartModern({});
  guest->device().Quiesce([] {});
  guest->device().Reset();
  guest->device().Resume();
  EXPECT_EQ(device->activations, 1U);
  guest->MapBars();
  EXPECT_EQ(guest->Status(), 0);
  EXPECT_EQ(guest->Modern(kQueueEnable, 2), 0U);
  guest->StartModern({});
  EXPECT_EQ(device->activations, 2U);
}

TEST_F(VirtioPciLifeTest, IntxIsDrivenAgainAfterAResume) {
  guest->StartModern({.msix = false});
  device->Find(0)->queue.NotifyAlways();
  guest->device().Quiesce([] {});
  guest->function().SetIntx(false);
  guest->device().Resume();
  EXPECT_TRUE(guest->intx());
}

// ---- state ----

StateDocument Save(FakeVirtioGuest& guest) {
  guest.device().Quiesce([] {});
  StateDocument document;
  guest.device().Save(StateWriter(document, "/dev"));
  return document;
}

TEST_F(VirtioPciLifeTest, SavedStateLoadsAndSavesToEqualBytes) {
  guest->StartModern({});
  guest->ring(0).Chain().Writable(4).Send();
  guest->ring(0).Chain().Writable(4).Send();
  std::optional<DescChain> chain = device->Find(0)->queue.Pop();
  std::optional<DescChain> parked = device->Find(0)->queue.Pop();
  device->Find(0)->queue.Complete(std::move(*chain), 4);
  device->park_next = {device->Find(0)->queue.Park(std::move(*parked))};
  const StateDocument saved = Save(*guest);

  auto made = std::make_unique<FakeVirtioDevice>();
  FakeVirtioDevice& other_device = *made;
  FakeVirtioGuest other(guest->memory(), std::move(made));
  const Result<> loaded = other.device().Load(StateReader(saved, "/dev"));
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(other_device.activations, 0U);
  EXPECT_EQ(Save(other).Serialize(), saved.Serialize());

  other.device().Resume();
  ASSERT_EQ(other_device.active.size(), 2U);
  EXPECT_EQ(other_device.accepted, guest->features());
  EXPECT_EQ(other_device.Find(0)->queue.position().next_avail, 2U);
  ASSERT_EQ(other_device.requeued.size(), 1U);
  EXPECT_EQ(other_device.requeued[0].parked.size(), 1U);
  EXPECT_EQ(other.interrupts(1), 1U);
  (void)Save(other);
}

struct HostileState {
  const char* what;
  void (*change)(VirtioPciState&);
};
class HostileStateTest : public VirtioPciLifeTest, public testing::WithParamInterface<HostileState> {};
INSTANTIATE_TEST_SUITE_P(
    Ways, HostileStateTest,
    testing::Values(HostileState{"a queue too many", [](VirtioPciState& s) { s.queues.emplace_back(); }},
                    HostileState{"no queues", [](VirtioPciState& s) { s.queues.clear(); }},
                    HostileState{"a vector", [](VirtioPciState& s) { s.queues[0].vector = 4; }},
                    HostileState{"a configuration vector", [](VirtioPciState& s) { s.config_vector = 100; }},
                    HostileState{"features", [](VirtioPciState& s) { s.driver_features |= 0x2; }},
                    HostileState{"a size", [](VirtioPciState& s) { s.queues[0].config.size = 1024; }},
                    HostileState{"no power of two", [](VirtioPciState& s) { s.queues[0].config.size = 12; }},
                    HostileState{"no size", [](VirtioPciState& s) { s.queues[0].config.size = 0; }},
                    HostileState{"positions", [](VirtioPciState& s) { s.queues[0].position.next_avail = 5; }},
                    HostileState{"more used than available",
                                 [](VirtioPciState& s) { s.queues[0].position.next_used = 1; }},
                    HostileState{"a parked head",
                                 [](VirtioPciState& s) {
                                   s.queues[0].parked = {{16, {}}};
                                 }},
                    HostileState{"a parked chain of the other format",
                                 [](VirtioPciState& s) {
                                   s.queues[0].parked = {{1, {{0x1000, 16, 0}}}};
                                   s.queues[0].position.next_avail = 1;
                                 }},
                    HostileState{"requests of a disabled queue",
                                 [](VirtioPciState& s) {
                                   s.queues[0].enabled = false;
                                   s.queues[0].parked = {{1, {}}};
                                 }},
                    HostileState{"the window", [](VirtioPciState& s) { s.window.resize(100); }}));

TEST_P(HostileStateTest, IsRefused) {
  guest->StartModern({});
  const StateDocument saved = Save(*guest);
  VirtioPciState state = StateReader(saved, "/dev/virtio-pci").Get<VirtioPciState>().value();
  VirtioPciFacts facts;
  facts.offered = guest->features();
  facts.vectors = 4;
  facts.max_sizes = {16, 16};
  ASSERT_TRUE(CheckLoaded(state, facts).has_value());
  GetParam().change(state);
  EXPECT_FALSE(CheckLoaded(state, facts).has_value()) << GetParam().what;
}

TEST_F(VirtioPciLifeTest, RingThatMovedUnderALoadedStateIsBrokenNotFatal) {
  guest->StartModern({});
  const StateDocument saved = Save(*guest);
  FakeVirtioGuest other(
      std::make_unique<FakeVirtioDevice>());  // other memory: the rings are empty, then gone
  ASSERT_TRUE(other.device().Load(StateReader(saved, "/dev")).has_value());
  other.board().root.SetMemory(TestMemory(0x1000, uint64_t{1} << 40));
  other.device().Resume();
  auto& loaded = static_cast<FakeVirtioDevice&>(other.device().device());
  EXPECT_FALSE(loaded.Find(0)->queue.Pop().has_value());
  EXPECT_TRUE(other.transport().status() & kStatusNeedsReset);
  (void)Save(other);
}

}  // namespace
}  // namespace nandu
