// A virtio device that does what the test says: for tests of the transport. It keeps the queues it is given
// and gives them back when told.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/described.h"
#include "devices/virtio/virtio_device.h"

namespace nandu {

struct FakeVirtioState {
  uint32_t value = 0;
};
BOOST_DESCRIBE_STRUCT(FakeVirtioState, (), (value))

class FakeVirtioDevice final : public VirtioDevice {
 public:
  explicit FakeVirtioDevice(unsigned queues = 2) : queues_(queues) {}

  // ---- the test's side ----
  bool hold_quiesce = false;  // Quiesce is over when FinishQuiesce is called
  bool fail_activation = false;
  std::vector<ActiveQueue> active;
  std::vector<RequeuedChains> requeued;
  std::vector<ParkedChain> park_next;  // given back as queue 0's with the next Quiesce
  uint64_t features = 0;               // of the last Activate
  unsigned activations = 0;
  unsigned resets = 0;
  uint64_t accepted = 0;
  std::array<std::byte, 8> config{};
  VirtioTransport* transport = nullptr;

  ActiveQueue* Find(unsigned index) {
    for (ActiveQueue& queue : active) {
      if (queue.index == index) {
        return &queue;
      }
    }
    return nullptr;
  }
  bool quiescing() const { return static_cast<bool>(pending_) || static_cast<bool>(pending_queue_); }
  void FinishQuiesce() {
    if (pending_) {
      const auto done = std::exchange(pending_, nullptr);
      done(TakeAll());
    }
    if (pending_queue_) {
      const auto done = std::exchange(pending_queue_, nullptr);
      done(TakeOne(pending_index_));
    }
  }

  // ---- VirtioDevice ----
  uint16_t type() const override { return 4; }
  std::string_view name() const override { return "virtio-fake"; }
  uint32_t pci_class() const override { return 0x00ff00; }
  uint64_t Features() const override { return 0x15; }
  unsigned queue_count() const override { return queues_; }
  uint16_t MaxQueueSize(unsigned /*index*/) const override { return 16; }
  void SetTransport(VirtioTransport* to) override { transport = to; }
  std::span<const std::byte> Config() const override { return config; }
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override {
    std::memcpy(config.data() + offset, bytes.data(), bytes.size());
  }
  void FeaturesAccepted(uint64_t bits) override { accepted = bits; }
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override {
    ++activations;
    if (fail_activation) {
      return Fail(Errc::kIo, "it was told to fail");
    }
    features = args.features;
    active = std::move(args.queues);
    requeued = std::move(requeue);
    return {};
  }
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override {
    if (hold_quiesce) {
      pending_ = std::move(done);
    } else {
      done(TakeAll());
    }
  }
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override {
    if (hold_quiesce) {
      pending_index_ = index;
      pending_queue_ = std::move(done);
    } else {
      done(TakeOne(index));
    }
  }
  Result<> ActivateQueue(ActiveQueue queue) override {
    active.push_back(std::move(queue));
    return {};
  }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Reset() override {
    ++resets;
    accepted = 0;
    config = {};
  }
  void Save(const StateWriter& writer) const override { writer.Put(FakeVirtioState{saved_value}); }
  Result<> Load(const StateReader& reader) override {
    const FakeVirtioState state = TRY(reader.Get<FakeVirtioState>());
    saved_value = state.value;
    return {};
  }
  uint32_t saved_value = 7;

 private:
  std::vector<QueueAtRest> TakeAll() {
    std::vector<QueueAtRest> rest;
    for (ActiveQueue& queue : active) {
      rest.push_back({queue.index, std::move(queue.queue), {}});
    }
    active.clear();
    if (!rest.empty()) {
      rest[0].parked = std::exchange(park_next, {});
    }
    return rest;
  }
  QueueAtRest TakeOne(unsigned index) {
    ActiveQueue* const found = Find(index);
    QueueAtRest rest{index, std::move(found->queue), {}};
    std::erase_if(active, [index](const ActiveQueue& queue) { return queue.index == index; });
    return rest;
  }

  const unsigned queues_;
  UniqueFunction<void(std::vector<QueueAtRest>)> pending_;
  UniqueFunction<void(QueueAtRest)> pending_queue_;
  unsigned pending_index_ = 0;
};

}  // namespace nandu
