// virtio-rng, the guest half: an entropy device has no features and no configuration. virtio 1.2,
// section 5.4. The data half is rng_queue.h.
#pragma once

#include <memory>

#include "base/described.h"
#include "devices/virtio/rng/rng_queue.h"
#include "devices/virtio/virtio_device.h"

namespace nandu {

struct RngState {};  // nothing of its own survives; the queue is the transport's
BOOST_DESCRIBE_STRUCT(RngState, (), ())

class RngDevice final : public VirtioDevice {
 public:
  // `source` and `clock` outlive the device.
  RngDevice(EventLoop& loop, Clock& clock, std::unique_ptr<EntropySource> source, const RngLimit& limit);
  ~RngDevice() override;

  uint16_t type() const override { return 4; }
  std::string_view name() const override { return "virtio-rng"; }
  uint32_t pci_class() const override { return 0x00ff00; }
  uint64_t Features() const override { return 0; }
  unsigned queue_count() const override { return 1; }
  uint16_t MaxQueueSize(unsigned /*index*/) const override { return 8; }  // as QEMU
  void SetTransport(VirtioTransport* /*transport*/) override {}
  std::span<const std::byte> Config() const override { return {}; }
  void WriteConfig(uint32_t /*offset*/, std::span<const std::byte> /*bytes*/) override {}
  void FeaturesAccepted(uint64_t /*features*/) override {}
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  std::vector<std::string> StuckRequests() const override { return {}; }  // each is over when its turn ends
  void Reset() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

  const RngCounters& counters() const { return queue_->counters(); }

 private:
  const std::unique_ptr<EntropySource> source_;
  std::unique_ptr<Timer> timer_;           // fires on the control loop; null: no limit
  const std::shared_ptr<RngQueue> queue_;  // used on its loop; messages to it may still be on their way
};

}  // namespace nandu
