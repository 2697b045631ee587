// A driver that does to a virtio device what a fuzzer likes: chains of any shape on any queue, configuration,
// resets of queue and device, pauses in between. What the device saves at the end can be loaded again.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "devices/virtio/virtio_pci_device.h"
#include "devices/virtio/virtio_pci_wire.h"
#include "input.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_virtio_guest.h"

namespace nandu {

class FuzzDriver {
 public:
  // `settle` lets all that is ready happen, of the device's loop and of the control loop.
  FuzzDriver(std::unique_ptr<VirtioDevice> device, std::function<void()> settle, bool packed)
      : settle_(std::move(settle)),
        guest_(std::make_shared<FakeGuest>(kMemoryBytes), std::move(device), Options(packed), 4) {
    Start();
  }
  ~FuzzDriver() {
    Pause();
    CheckState();
  }
  FuzzDriver(const FuzzDriver&) = delete;
  FuzzDriver& operator=(const FuzzDriver&) = delete;

  FakeVirtioGuest& guest() { return guest_; }
  // The driver's memory is used up: nothing more can be sent.
  bool exhausted() { return guest_.guest().used_bytes() + kReserveBytes > kMemoryBytes; }

  void Step(Input& input) {
    switch (input.Byte() % 12) {
      case 0: settle_(); break;
      case 1:
        Pause();
        guest_.device().Resume();
        settle_();
        break;
      case 2: (void)guest_.Modern(virtio::kDeviceOffset + input.Byte(), 1U << input.Byte() % 4); break;
      case 3:
        (void)guest_.SetModern(virtio::kDeviceOffset + input.Byte(), 1U << input.Byte() % 3, input.Word());
        break;
      case 4:
        (void)guest_.SetStatus(0);
        settle_();
        Start();
        break;
      case 5: ResetQueue(Index(input)); break;
      case 6:
        for (unsigned i = 0; i < queues(); ++i) {
          while (guest_.ring(i).NextUsed()) {
          }
        }
        break;
      default: Send(input); break;
    }
  }
  void Pause() {
    guest_.device().Quiesce([] {});
    settle_();
  }

 private:
  static constexpr uint64_t kMemoryBytes = uint64_t{1} << 20;
  static constexpr uint64_t kReserveBytes = uint64_t{128} << 10;
  static constexpr uint16_t kQueueSize = 16;
  static constexpr unsigned kMaxBuffers = 4;

  static VirtioPciOptions Options(bool packed) {
    VirtioPciOptions options;
    options.packed = packed;
    return options;
  }
  unsigned queues() { return static_cast<unsigned>(guest_.Modern(virtio::kNumQueues, 2)); }
  unsigned Index(Input& input) { return input.Byte() % std::max(queues(), 1U); }
  void Start() {
    guest_.StartModern({.queue_size = kQueueSize});
    settle_();
  }
  void ResetQueue(unsigned index) {
    (void)guest_.SetModern(virtio::kQueueSelect, 2, index);
    (void)guest_.SetModern(virtio::kQueueReset, 2, 1);
    settle_();
    guest_.StartQueue(index, kQueueSize);
    settle_();
  }
  // Up to four buffers, readable ones with bytes of the input, writable ones, or both in any order.
  void Send(Input& input) {
    const unsigned index = Index(input);
    DriverRing& ring = guest_.ring(index);
    if (ring.free_descriptors() < kMaxBuffers) {
      return;
    }
    auto request = ring.Chain();
    const uint8_t shape = input.Byte();
    for (unsigned i = 0; i <= shape % kMaxBuffers; ++i) {
      if ((shape >> (2 + i) & 1) != 0) {
        request.Writable(1 + input.Word() % 4096);
      } else {
        std::string text(input.Text(1 + input.Byte()));
        text.resize(std::max<size_t>(text.size(), 1));
        request.Readable(text);
      }
    }
    if ((shape & 0x80) != 0) {
      request.Indirect();
    }
    request.Send();
    guest_.Kick(index);
  }
  std::vector<std::byte> Saved() {
    StateDocument document;
    guest_.device().Save(StateWriter(document, "/d"));
    return document.Serialize();
  }
  // While paused.
  void CheckState() {
    const std::vector<std::byte> bytes = Saved();
    const StateDocument document = StateDocument::Parse(bytes).value();
    const Result<> loaded = guest_.device().Load(StateReader(document, "/d"));
    NANDU_CHECK(loaded.has_value(), "what a driver can bring about can be saved and loaded");
    NANDU_CHECK(Saved() == bytes, "a state that was loaded is the one that was saved");
  }

  const std::function<void()> settle_;
  FakeVirtioGuest guest_;
};

}  // namespace nandu
