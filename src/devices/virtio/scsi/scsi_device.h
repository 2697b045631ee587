// virtio-scsi, the guest half: features, configuration space, and which queues run. virtio 1.2, section 5.6. The data
// half is scsi_host.h.
#pragma once

#include <memory>
#include <vector>

#include "base/described.h"
#include "devices/virtio/scsi/scsi_host.h"
#include "devices/virtio/virtio_device.h"

namespace nandu {

struct ScsiHostState {
  uint32_t sense_size = vscsi::kDefaultSenseSize;
  uint32_t cdb_size = vscsi::kDefaultCdbSize;
  bool events_missed = false;
  bool tells_changes = false;
};
BOOST_DESCRIBE_STRUCT(ScsiHostState, (), (sense_size, cdb_size, events_missed, tells_changes))
Result<> Validate(const ScsiHostState& state);

struct ScsiHostConfig {
  uint16_t request_queues = 1;
  uint16_t queue_size = 256;
  uint32_t seg_max = 254;
  uint32_t max_sectors = 0xffff;
  uint32_t cmd_per_lun = 128;
  bool hotplug = true;
  bool change = true;
};

class ScsiDevice final : public VirtioDevice {
 public:
  ScsiDevice(EventLoop& loop, const ScsiHostConfig& config);
  ~ScsiDevice() override;

  const std::shared_ptr<ScsiHost>& host() { return host_; }

  uint16_t type() const override { return 8; }
  std::string_view name() const override { return "virtio-scsi"; }
  uint32_t pci_class() const override { return 0x010000; }
  uint64_t Features() const override;
  unsigned queue_count() const override { return host_->queue_count(); }
  uint16_t MaxQueueSize(unsigned /*index*/) const override { return config_.queue_size; }
  void SetTransport(VirtioTransport* /*transport*/) override {}
  std::span<const std::byte> Config() const override;
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override;
  void FeaturesAccepted(uint64_t features) override;
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  // The units' disks, which the data half knows, tell it: set by who builds the bus.
  std::vector<std::string> StuckRequests() const override { return stuck ? stuck() : std::vector<std::string>{}; }
  void Reset() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

  UniqueFunction<std::vector<std::string>()> stuck;

 private:
  const ScsiHostConfig config_;
  const std::shared_ptr<ScsiHost> host_;  // used on its loop; messages to it may still be on their way
  mutable vscsi::Config shown_{};         // under the transport's mutex
};

}  // namespace nandu
