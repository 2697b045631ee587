// virtio-net, the guest half: features, configuration space and what survives. virtio 1.2, section 5.1. The
// data half is net_data.h.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <nandu/net.h>

#include "base/log.h"
#include "devices/virtio/net/net_data.h"
#include "devices/virtio/net/net_settings.h"
#include "devices/virtio/net/net_vhost.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

// What the options say, already checked.
struct NetDeviceConfig {
  net::Mac mac{};
  uint64_t features = 0;  // offered
  unsigned pairs = 1;
  uint16_t rx_queue_size = 256;
  uint16_t tx_queue_size = 256;
  uint16_t mtu = 0;
  uint32_t speed = 0xffffffff;  // Mbit/s
  uint8_t duplex = net::kDuplexUnknown;
};

class NetDevice final : public VirtioDevice {
 public:
  // One channel per pair, opened for `loop`. Control thread.
  NetDevice(const NetDeviceConfig& config, EventLoop& loop, std::shared_ptr<NetBackend> backend,
            std::vector<std::unique_ptr<NetChannel>> channels);
  ~NetDevice() override;

  // set_link: the guest sees the carrier come and go; frames stay in the backend meanwhile, and what the
  // guest sends is dropped. Any thread.
  void SetLink(bool up);
  // Asks the guest to announce itself (after a migration), when it can. Any thread.
  void Announce();
  const NetCounters& counters() const { return data_->counters(); }

  uint16_t type() const override { return 1; }
  std::string_view name() const override { return "virtio-net"; }
  uint32_t pci_class() const override { return 0x020000; }
  uint64_t Features() const override { return config_.features; }
  unsigned queue_count() const override { return 2 * config_.pairs + (has_control() ? 1 : 0); }
  uint16_t MaxQueueSize(unsigned index) const override;
  void SetTransport(VirtioTransport* transport) override;
  std::span<const std::byte> Config() const override;
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override;
  void FeaturesAccepted(uint64_t features) override;
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Reset() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  bool has_control() const { return (config_.features & net::kFeatureCtrlVq) != 0; }
  NetState InitialState() const;
  void PostSettingsChanged();

  const NetDeviceConfig config_;
  EventLoop& loop_;
  const std::shared_ptr<NetSettings> settings_;
  const std::shared_ptr<TransportSlot> transport_;
  const std::shared_ptr<NetVhost> vhost_;  // null: the kernel serves nothing here
  std::shared_ptr<NetData> data_;          // used on the loop
  size_t config_bytes_ = 0;
  mutable std::array<std::byte, sizeof(net::Config)> shown_{};  // under the transport's mutex
};

}  // namespace nandu
