// What every virtio device promises, whatever it is: one suite, instantiated per device.
//
//   struct RngContract {                                     // fresh for each test
//     std::unique_ptr<VirtioDevice> Make();                  // a device on its own loop; may be called
//     twice: source and destination static constexpr unsigned kQueue = 0;                  // where Send puts
//     SentChain Send(DriverRing& ring);                      // one well-formed request that the device
//     completes by itself void Turn();                                           // lets the device work,
//     without the backend finishing what hangs void Settle();                                         // ...
//     until everything is finished
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Rng, VirtioDeviceContract, RngContract);
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "devices/virtio/virtio_features.h"
#include "state/document.h"
#include "support/fake_virtio_guest.h"

namespace nandu {

template <class Traits>
class VirtioDeviceContract : public testing::Test {
 protected:
  static constexpr unsigned kQueue = Traits::kQueue;

  void Start(bool packed, const FakeVirtioGuest::DriverOptions& options = {}) {
    Stop();
    VirtioPciOptions pci;
    pci.packed = packed;
    guest = std::make_unique<FakeVirtioGuest>(traits.Make(), pci, 16);
    guest->StartModern(options);
  }
  void Stop() {
    if (guest) {
      bool stopped = false;
      guest->device().Quiesce([&] { stopped = true; });
      traits.Settle();
      EXPECT_TRUE(stopped);
      guest.reset();
      traits.Settle();
    }
  }
  void TearDown() override { Stop(); }

  DriverRing& ring() { return guest->ring(kQueue); }
  void Kick() { guest->Kick(kQueue); }
  // Sends as many as the ring takes, at most `count`.
  unsigned SendSome(unsigned count) {
    unsigned sent = 0;
    while (sent < count && ring().free_descriptors() >= 4) {
      traits.Send(ring());
      ++sent;
    }
    return sent;
  }
  unsigned Reap() {
    unsigned used = 0;
    while (ring().NextUsed()) {
      ++used;
    }
    return used;
  }
  bool ServesARequest() {
    traits.Send(ring());
    Kick();
    traits.Settle();
    return Reap() == 1;
  }
  // What the device could still write to: all memory the driver named.
  std::string Memory() const {
    return guest->guest().Text(FakeGuest::kFirst, guest->guest().used_bytes() - FakeGuest::kFirst);
  }
  static StateDocument Save(FakeVirtioGuest& from) {
    StateDocument document;
    from.device().Save(StateWriter(document, "/dev"));
    return document;
  }

  Traits traits;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TYPED_TEST_SUITE_P(VirtioDeviceContract);

TYPED_TEST_P(VirtioDeviceContract, ServesSplitAndPackedRings) {
  for (const bool packed : {false, true}) {
    this->Start(packed);
    EXPECT_TRUE(this->ServesARequest()) << "packed " << packed;
    EXPECT_TRUE(this->ServesARequest()) << "packed " << packed;
  }
}

TYPED_TEST_P(VirtioDeviceContract, ServesWithoutEventIndexAndWithoutMsix) {
  this->Start(false, {.without = virtio::kEventIndex | virtio::kIndirectDesc, .msix = false});
  EXPECT_TRUE(this->ServesARequest());
  EXPECT_TRUE(this->guest->intx());
}

TYPED_TEST_P(VirtioDeviceContract, AfterAResetNothingTouchesGuestMemory) {
  for (const bool packed : {false, true}) {
    this->Start(packed);
    this->SendSome(3);
    this->Kick();
    this->traits.Turn();
    const ExitDone exit = this->guest->SetStatus(0);
    this->traits.Settle();
    EXPECT_TRUE(exit.token() == nullptr || exit.token()->signalled());
    EXPECT_EQ(this->guest->Status(), 0);
    const std::string before = this->Memory();
    this->Kick();
    this->traits.Settle();
    EXPECT_EQ(this->Memory(), before);
    this->guest->StartModern({});
    EXPECT_TRUE(this->ServesARequest());
  }
}

TYPED_TEST_P(VirtioDeviceContract, BusMasterOffAndOnLosesNothing) {
  this->Start(false);
  const unsigned sent = this->SendSome(3);
  this->Kick();
  this->traits.Turn();
  const ExitDone exit = this->guest->SetCommand(pci::kCommandMemory);
  this->traits.Settle();
  EXPECT_TRUE(exit.token() == nullptr || exit.token()->signalled());
  (void)this->guest->SetCommand(pci::kCommandMemory | pci::kCommandMaster);
  this->traits.Settle();
  EXPECT_EQ(this->Reap(), sent);
}

TYPED_TEST_P(VirtioDeviceContract, QuiesceUnderLoadLosesNothing) {
  for (const bool packed : {false, true}) {
    this->Start(packed);
    unsigned sent = 0;
    unsigned used = 0;
    for (int round = 0; round < 10; ++round) {
      sent += this->SendSome(5);
      this->Kick();
      this->traits.Turn();
      bool stopped = false;
      this->guest->device().Quiesce([&] { stopped = true; });
      sent += this->SendSome(2);
      this->Kick();
      this->traits.Settle();
      EXPECT_TRUE(stopped);
      this->guest->device().Resume();
      this->traits.Settle();
      used += this->Reap();
    }
    EXPECT_EQ(used, sent);
  }
}

TYPED_TEST_P(VirtioDeviceContract, SaveLoadSaveGivesEqualBytes) {
  for (const bool packed : {false, true}) {
    this->Start(packed);
    EXPECT_TRUE(this->ServesARequest());
    this->SendSome(3);
    this->guest->device().Quiesce([] {});
    this->traits.Settle();
    const StateDocument saved = this->Save(*this->guest);

    VirtioPciOptions pci;
    pci.packed = packed;
    FakeVirtioGuest other(this->guest->memory(), this->traits.Make(), pci, 16);
    const Result<> loaded = other.device().Load(StateReader(saved, "/dev"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(this->Save(other).Serialize(), saved.Serialize());

    // The guest goes on at the destination.
    other.GiveRings(this->guest->TakeRings(), this->guest->features());
    other.device().Resume();
    this->traits.Settle();
    EXPECT_EQ(other.ring(this->kQueue).NextUsed().has_value(), true);
    bool stopped = false;
    other.device().Quiesce([&] { stopped = true; });
    this->traits.Settle();
    EXPECT_TRUE(stopped);
  }
}

TYPED_TEST_P(VirtioDeviceContract, LoadIntoAFreshDeviceOfAFreshStateIsEqual) {
  FakeVirtioGuest fresh(this->traits.Make());
  const StateDocument saved = this->Save(fresh);
  ASSERT_TRUE(fresh.device().Load(StateReader(saved, "/dev")).has_value());
  EXPECT_EQ(this->Save(fresh).Serialize(), saved.Serialize());
  this->traits.Settle();
}

TYPED_TEST_P(VirtioDeviceContract, MalformedRingsAskForAResetAndThenServeAgain) {
  for (const bool packed : {false, true}) {
    for (const Malformed what : AllMalformed(packed)) {
      this->Start(packed);
      this->SendSome(1);
      this->Kick();
      this->traits.Turn();
      this->ring().SendMalformed(what);
      this->Kick();
      this->traits.Settle();
      EXPECT_TRUE(this->guest->Status() & virtio::kStatusNeedsReset)
          << "packed " << packed << ", way " << static_cast<int>(what);
      (void)this->guest->SetStatus(0);
      this->traits.Settle();
      this->guest->StartModern({});
      EXPECT_TRUE(this->ServesARequest()) << "packed " << packed << ", way " << static_cast<int>(what);
    }
  }
}

TYPED_TEST_P(VirtioDeviceContract, EveryQueueSurvivesEveryMalformedRing) {
  this->Start(false);
  const auto queues = static_cast<unsigned>(this->guest->Modern(virtio::kNumQueues, 2));
  for (unsigned i = 0; i < queues; ++i) {
    for (const Malformed what : AllMalformed(false)) {
      (void)this->guest->SetStatus(0);
      this->traits.Settle();
      this->guest->StartModern({.queue_size = 8});
      this->guest->ring(i).SendMalformed(what);
      this->guest->Kick(i);
      this->traits.Settle();
    }
  }
  SUCCEED();
}

TYPED_TEST_P(VirtioDeviceContract, QueueResetLeavesTheDeviceServing) {
  for (const bool packed : {false, true}) {
    this->Start(packed);
    this->SendSome(3);
    this->Kick();
    this->traits.Turn();
    (void)this->guest->SetModern(virtio::kQueueSelect, 2, this->kQueue);
    const ExitDone exit = this->guest->SetModern(virtio::kQueueReset, 2, 1);
    this->traits.Settle();
    EXPECT_TRUE(exit.token() == nullptr || exit.token()->signalled());
    EXPECT_EQ(this->guest->Modern(virtio::kQueueEnable, 2), 0U);
    this->guest->StartQueue(this->kQueue);
    this->traits.Settle();
    EXPECT_TRUE(this->ServesARequest());
  }
}

TYPED_TEST_P(VirtioDeviceContract, RequestsOfAnyShapeAreSurvived) {
  std::mt19937 random(1);
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  this->Start(false);
  const auto queues = static_cast<unsigned>(this->guest->Modern(virtio::kNumQueues, 2));
  for (unsigned round = 0; round < 300; ++round) {
    DriverRing& ring = this->guest->ring(round % queues);
    auto request = ring.Chain();
    for (unsigned i = pick(3); i > 0; --i) {
      std::string text(1 + pick(40), '\0');
      for (char& c : text) {
        c = static_cast<char>(pick(2) == 0 ? pick(16) : pick(256));
      }
      request.Readable(text);
    }
    for (unsigned i = 1 + pick(3); i > 0; --i) {
      request.Writable(1 + pick(600));
    }
    if (ring.free_descriptors() >= 8) {
      request.Send();
    }
    this->guest->Kick(round % queues);
    this->traits.Settle();
    while (ring.NextUsed()) {
    }
    EXPECT_FALSE(this->guest->Status() & virtio::kStatusNeedsReset) << "round " << round;
  }
}

TYPED_TEST_P(VirtioDeviceContract, LegacyDriversAreServed) {
  this->guest = std::make_unique<FakeVirtioGuest>(this->traits.Make(), VirtioPciOptions{}, 16);
  this->guest->StartLegacy();
  this->traits.Send(this->ring());
  this->guest->KickLegacy(this->kQueue);
  this->traits.Settle();
  EXPECT_EQ(this->Reap(), 1U);
  const ExitDone exit = this->guest->SetLegacy(virtio::kLegacyStatus, 1, 0);
  this->traits.Settle();
  EXPECT_TRUE(exit.token() == nullptr || exit.token()->signalled());
  EXPECT_EQ(this->guest->Legacy(virtio::kLegacyStatus, 1), 0U);
}

TYPED_TEST_P(VirtioDeviceContract, MachineResetUnderLoad) {
  this->Start(false);
  this->SendSome(3);
  this->Kick();
  this->traits.Turn();
  bool stopped = false;
  this->guest->device().Quiesce([&] { stopped = true; });
  this->traits.Settle();
  EXPECT_TRUE(stopped);
  this->guest->device().Reset();
  this->guest->device().Resume();
  this->guest->StartModern({});
  EXPECT_TRUE(this->ServesARequest());
}

REGISTER_TYPED_TEST_SUITE_P(VirtioDeviceContract, ServesSplitAndPackedRings,
                            ServesWithoutEventIndexAndWithoutMsix, AfterAResetNothingTouchesGuestMemory,
                            BusMasterOffAndOnLosesNothing, QuiesceUnderLoadLosesNothing,
                            SaveLoadSaveGivesEqualBytes, LoadIntoAFreshDeviceOfAFreshStateIsEqual,
                            MalformedRingsAskForAResetAndThenServeAgain, EveryQueueSurvivesEveryMalformedRing,
                            QueueResetLeavesTheDeviceServing, RequestsOfAnyShapeAreSurvived,
                            LegacyDriversAreServed, MachineResetUnderLoad);

}  // namespace nandu
