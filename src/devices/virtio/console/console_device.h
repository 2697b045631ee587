// virtio-console, the guest half, and the bus its ports sit on. virtio 1.2, section 5.3. The data half is
// console_data.h.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/chardev.h>

#include "devices/virtio/console/console_data.h"
#include "devices/virtio/console/console_pipe.h"
#include "devices/virtio/console/console_port.h"
#include "devices/virtio/console/console_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/control_loop.h"
#include "loop/event_loop.h"

namespace nandu {

class ConsoleDevice final : public VirtioDevice {
 public:
  struct Options {
    unsigned max_ports = 31;
    bool emergency_write = true;
  };
  // Control thread.
  ConsoleDevice(ControlLoop& control, EventLoop& loop, const Options& options);
  ~ConsoleDevice() override;

  // ---- the bus; control thread ----
  struct NewPort {
    PortKind kind = PortKind::kSerial;
    std::optional<uint32_t>
        number;  // absent: the first console is port 0, everything else the lowest free one from 1 on
    std::string name;
    std::shared_ptr<Chardev> chardev;  // null: what the guest writes is dropped
  };
  Result<uint32_t> AddPort(NewPort port);
  void RemovePort(uint32_t number);
  const ConsoleCounters& counters() const { return data_->counters(); }

  uint16_t type() const override { return 3; }
  std::string_view name() const override { return "virtio-console"; }
  uint32_t pci_class() const override { return 0x078000; }
  uint64_t Features() const override;
  unsigned queue_count() const override { return options_.max_ports > 1 ? 2 * (options_.max_ports + 1) : 2; }
  uint16_t MaxQueueSize(unsigned index) const override;
  void SetTransport(VirtioTransport* /*transport*/) override {}
  std::span<const std::byte> Config() const override;
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override;
  void FeaturesAccepted(uint64_t /*features*/) override {}
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Reset() override { data_->Reset(); }
  void Save(const StateWriter& writer) const override { writer.Put(data_->Save()); }
  Result<> Load(const StateReader& reader) override;

 private:
  struct HostPort {
    std::string name;
    std::shared_ptr<ConsolePort> port;
    std::shared_ptr<ConsolePipe> pipe;
  };
  Result<uint32_t> ChooseNumber(const NewPort& port) const NANDU_TA(requires_capability(mutex_));

  ControlLoop& control_;
  EventLoop& loop_;
  const Options options_;
  const console::Config config_;
  std::shared_ptr<ConsoleData> data_;  // mostly used on the loop
  mutable Mutex mutex_;                // control thread against an emergency write
  std::map<uint32_t, HostPort> ports_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
