// A guest with one virtio PCI device: a bus, RAM, interrupts that are counted, and a driver that speaks the
// modern or the legacy interface through the function's BARs.
//
//   ManualLoop loop;
//   FakeVirtioGuest guest(std::make_unique<RngDevice>(loop, ...));
//   guest.StartModern({});                       // reset ... DRIVER_OK, every queue at its full size
//   const SentChain sent = guest.ring(0).Chain().Writable(16).Send();
//   guest.Kick(0);
//   loop.RunUntilIdle();
//   EXPECT_EQ(guest.ring(0).NextUsed(), (Used{sent.id, 16}));
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "devices/pci/pci_regs.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_device.h"
#include "devices/virtio/virtio_pci_wire.h"
#include "support/driver_ring.h"
#include "support/fake_guest.h"
#include "support/fake_pci.h"

namespace nandu {

class FakeVirtioGuest {
 public:
  static constexpr uint64_t kLegacyBase = 0xc000;
  static constexpr uint64_t kMsixBase = 0xe0010000;
  static constexpr uint64_t kModernBase = 0xe0020000;

  explicit FakeVirtioGuest(std::unique_ptr<VirtioDevice> device, const VirtioPciOptions& options = {},
                           unsigned default_vectors = 4)
      : FakeVirtioGuest(std::make_shared<FakeGuest>(uint64_t{64} << 20), std::move(device), options,
                        default_vectors) {}
  // Over memory that another one left: the destination of a migration.
  FakeVirtioGuest(std::shared_ptr<FakeGuest> memory, std::unique_ptr<VirtioDevice> device,
                  const VirtioPciOptions& options = {}, unsigned default_vectors = 4)
      : memory_(std::move(memory)) {
    VirtioPciSpec spec;
    spec.id = "dev0";
    spec.driver = "virtio-test-pci";
    spec.default_vectors = default_vectors;
    auto attached = VirtioPciDevice::Attach(board_.root, board_.msi, spec, options, std::move(device));
    if (!attached) {
      throw std::runtime_error(attached.error().message);
    }
    device_ = std::move(attached).value();
    board_.root.SetMemory(memory_->memory());
  }

  VirtioPciDevice& device() { return *device_; }
  PciFunction& function() { return *device_->pci(); }
  VirtioPciTransport& transport() { return device_->transport(); }
  FakeGuest& guest() { return *memory_; }
  const std::shared_ptr<FakeGuest>& memory() const { return memory_; }
  FakePciBoard& board() { return board_; }
  bool intx() const {
    return std::any_of(board_.lines.begin(), board_.lines.end(),
                       [](const FakeIrqLine& line) { return line.level(); });
  }

  // ---- PCI ----
  uint32_t Config(uint16_t reg, unsigned size) { return function().ReadConfig(reg, size); }
  ExitDone SetConfig(uint16_t reg, unsigned size, uint32_t value) {
    return function().WriteConfig(reg, size, value);
  }
  ExitDone SetCommand(uint16_t value) { return SetConfig(pci::kCommand, 2, value); }
  void MapBars() {
    for (const PciBarInfo& bar : function().Bars()) {
      const uint64_t base = bar.kind == BarKind::kIo        ? kLegacyBase
                            : bar.index == virtio::kMsixBar ? kMsixBase
                                                            : kModernBase;
      const auto reg = static_cast<uint16_t>(pci::kBar0 + 4 * bar.index);
      (void)SetConfig(reg, 4, static_cast<uint32_t>(base));
    }
    (void)SetCommand(pci::kCommandIo | pci::kCommandMemory | pci::kCommandMaster);
  }
  // Vector i sends {0xfee00000, i}, unmasked.
  void EnableMsix() {
    for (unsigned i = 0; i < function().msix_vectors(); ++i) {
      (void)board_.memory.Write(kMsixBase + 16 * i, 4, 0xfee00000);
      (void)board_.memory.Write(kMsixBase + 16 * i + 4, 4, 0);
      (void)board_.memory.Write(kMsixBase + 16 * i + 8, 4, i);
      (void)board_.memory.Write(kMsixBase + 16 * i + 12, 4, 0);
    }
    const uint8_t cap = function().FindCapability(pci::kCapMsix);
    (void)SetConfig(static_cast<uint16_t>(cap + 2), 2, pci::kMsixControlEnable);
  }
  size_t interrupts(unsigned vector) const { return board_.msi.vector(vector).count(); }

  // ---- registers ----
  uint64_t Modern(uint64_t offset, unsigned size) { return board_.memory.Read(kModernBase + offset, size); }
  ExitDone SetModern(uint64_t offset, unsigned size, uint64_t value) {
    return board_.memory.Write(kModernBase + offset, size, value);
  }
  uint64_t Legacy(uint64_t offset, unsigned size) { return board_.io.Read(kLegacyBase + offset, size); }
  ExitDone SetLegacy(uint64_t offset, unsigned size, uint64_t value) {
    return board_.io.Write(kLegacyBase + offset, size, value);
  }
  uint8_t Status() { return static_cast<uint8_t>(Modern(virtio::kDeviceStatus, 1)); }
  ExitDone SetStatus(uint8_t value) { return SetModern(virtio::kDeviceStatus, 1, value); }
  uint64_t Offered() {
    (void)SetModern(virtio::kDeviceFeatureSelect, 4, 1);
    const uint64_t high = Modern(virtio::kDeviceFeature, 4) << 32;
    (void)SetModern(virtio::kDeviceFeatureSelect, 4, 0);
    return high | Modern(virtio::kDeviceFeature, 4);
  }
  void Accept(uint64_t features) {
    for (unsigned half = 0; half < 2; ++half) {
      (void)SetModern(virtio::kDriverFeatureSelect, 4, half);
      (void)SetModern(virtio::kDriverFeature, 4, features >> (32 * half) & 0xffffffff);
    }
  }

  // ---- the driver ----
  struct DriverOptions {
    uint64_t without = 0;     // offered features that are not accepted
    uint16_t queue_size = 0;  // 0: what the device offers
    bool msix = true;         // vector 0 for the configuration, 1 + i for queue i
    bool driver_ok = true;
  };
  // Up to FEATURES_OK; what was accepted.
  uint64_t Negotiate(uint64_t without = 0) {
    MapBars();
    (void)SetStatus(0);
    (void)SetStatus(virtio::kStatusAcknowledge);
    (void)SetStatus(virtio::kStatusAcknowledge | virtio::kStatusDriver);
    const uint64_t features = Offered() & ~without;
    Accept(features);
    (void)SetStatus(virtio::kStatusAcknowledge | virtio::kStatusDriver | virtio::kStatusFeaturesOk);
    return features;
  }
  void StartModern(const DriverOptions& options) {
    features_ = Negotiate(options.without);
    if (options.msix && function().msix_vectors() > 0) {
      EnableMsix();
      (void)SetModern(virtio::kConfigVector, 2, 0);
    }
    rings_.clear();
    const auto queues = static_cast<unsigned>(Modern(virtio::kNumQueues, 2));
    for (unsigned i = 0; i < queues; ++i) {
      rings_.push_back(nullptr);
      StartQueue(i, options.queue_size);
    }
    if (options.driver_ok) {
      (void)SetStatus(kRunning);
    }
  }
  void StartQueue(unsigned index, uint16_t size = 0) {
    (void)SetModern(virtio::kQueueSelect, 2, index);
    const auto offered = static_cast<uint16_t>(Modern(virtio::kQueueSize, 2));
    DriverRing::Options options;
    options.size = size == 0 ? offered : size;
    options.packed = (features_ & virtio::kRingPacked) != 0;
    options.event_index = (features_ & virtio::kEventIndex) != 0;
    options.indirect = (features_ & virtio::kIndirectDesc) != 0;
    rings_[index] = std::make_unique<DriverRing>(*memory_, options);
    const QueueConfig& config = rings_[index]->config();
    (void)SetModern(virtio::kQueueSize, 2, config.size);
    if (function().msix_enabled()) {
      (void)SetModern(virtio::kQueueVector, 2, (1 + index) % function().msix_vectors());
    }
    SetAddress(virtio::kQueueDescriptors, config.descriptors);
    SetAddress(virtio::kQueueDriver, config.driver);
    SetAddress(virtio::kQueueDevice, config.device);
    (void)SetModern(virtio::kQueueEnable, 2, 1);
  }
  // The legacy interface: one page-aligned piece per queue.
  void StartLegacy(uint32_t without = 0, bool driver_ok = true) {
    MapBars();
    (void)SetLegacy(virtio::kLegacyStatus, 1, 0);
    (void)SetLegacy(virtio::kLegacyStatus, 1, virtio::kStatusAcknowledge);
    (void)SetLegacy(virtio::kLegacyStatus, 1, virtio::kStatusAcknowledge | virtio::kStatusDriver);
    features_ = Legacy(virtio::kLegacyHostFeatures, 4) & ~uint64_t{virtio::kBadFeature} & ~uint64_t{without};
    (void)SetLegacy(virtio::kLegacyGuestFeatures, 4, features_);
    rings_.clear();
    for (unsigned i = 0;; ++i) {
      (void)SetLegacy(virtio::kLegacyQueueSelect, 2, i);
      const auto size = static_cast<uint16_t>(Legacy(virtio::kLegacyQueueSize, 2));
      if (size == 0) {
        break;
      }
      DriverRing::Options options;
      options.size = size;
      options.event_index = (features_ & virtio::kEventIndex) != 0;
      options.indirect = (features_ & virtio::kIndirectDesc) != 0;
      rings_.push_back(std::make_unique<DriverRing>(*memory_, options, DriverRing::Layout::kLegacy));
      (void)SetLegacy(virtio::kLegacyQueuePage, 4, rings_.back()->config().descriptors >> 12);
    }
    if (driver_ok) {
      (void)SetLegacy(virtio::kLegacyStatus, 1, 7);
    }
  }
  DriverRing& ring(unsigned index) { return *rings_.at(index); }
  uint64_t features() const { return features_; }
  void Kick(unsigned index) {
    (void)SetModern(virtio::kNotifyOffset + virtio::kNotifyMultiplier * index, 2, index);
  }
  void KickLegacy(unsigned index) { (void)SetLegacy(virtio::kLegacyQueueNotify, 2, index); }

  // The driver's memory of its rings, for a guest that goes on over the same memory elsewhere.
  std::vector<std::unique_ptr<DriverRing>> TakeRings() { return std::move(rings_); }
  void GiveRings(std::vector<std::unique_ptr<DriverRing>> rings, uint64_t features) {
    rings_ = std::move(rings);
    features_ = features;
  }

  static constexpr uint8_t kRunning = virtio::kStatusAcknowledge | virtio::kStatusDriver |
                                      virtio::kStatusFeaturesOk | virtio::kStatusDriverOk;

 private:
  void SetAddress(uint64_t offset, uint64_t address) {
    (void)SetModern(offset, 4, address & 0xffffffff);
    (void)SetModern(offset + 4, 4, address >> 32);
  }

  const std::shared_ptr<FakeGuest> memory_;
  FakePciBoard board_;
  std::unique_ptr<VirtioPciDevice> device_;
  std::vector<std::unique_ptr<DriverRing>> rings_;
  uint64_t features_ = 0;
};

}  // namespace nandu
