// virtio-balloon, the guest half: features, configuration space, and which queues run. virtio 1.2,
// section 5.5. The data half is balloon_queues.h; what monitors command is balloon_control.h.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/clock.h>

#include "devices/virtio/balloon/balloon_control.h"
#include "devices/virtio/balloon/balloon_queues.h"
#include "devices/virtio/balloon/balloon_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

// What the options say, already checked.
struct BalloonDeviceConfig {
  bool deflate_on_oom = false;
  bool free_page_reporting = false;
  bool page_poison = true;
  bool full_config = false;  // all of the configuration, whatever the features say
  uint32_t stats_interval_s = 0;
};

class BalloonDevice final : public VirtioDevice {
 public:
  // Control thread. `clock` outlives the device.
  BalloonDevice(const BalloonDeviceConfig& config, EventLoop& loop, Clock& clock,
                std::shared_ptr<BalloonControl> control);
  ~BalloonDevice() override;

  const BalloonCounters& counters() const { return queues_->counters(); }
  const std::shared_ptr<BalloonControl>& control() const { return control_; }

  uint16_t type() const override { return 5; }
  std::string_view name() const override { return "virtio-balloon"; }
  uint32_t pci_class() const override { return 0x00ff00; }
  uint64_t Features() const override { return features_; }
  unsigned queue_count() const override;
  uint16_t MaxQueueSize(unsigned index) const override;
  void SetTransport(VirtioTransport* transport) override { control_->SetTransport(transport); }
  std::span<const std::byte> Config() const override;
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override;
  void FeaturesAccepted(uint64_t features) override { control_->FeaturesAccepted(features & features_); }
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  std::vector<std::string> StuckRequests() const override { return {}; }  // a turn's end is a queue's end
  void Reset() override { control_->Reset(); }
  void Save(const StateWriter& writer) const override { writer.Put(control_->Copy()); }
  Result<> Load(const StateReader& reader) override;

 private:
  const uint64_t features_;
  const size_t config_bytes_;
  const std::shared_ptr<BalloonControl> control_;
  const std::shared_ptr<BalloonQueues> queues_;  // used on its loop; messages to it may still be on their way
  std::unique_ptr<Timer> stats_timer_;           // fires on the control loop
  mutable balloon::Config shown_{};              // under the transport's mutex
};

}  // namespace nandu
