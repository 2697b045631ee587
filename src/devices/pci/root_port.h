// pcie-root-port: a PCI Express port of the root complex with one slot below it. Identity and registers as
// QEMU 7.2's (1b36:000c); PCI Express Base 5.0, section 7.5.3, and PCI-to-PCI Bridge 1.2. Hot-plug is not
// offered, so Slot Capabilities announces none.
//
// Device functions: control thread; register accesses: any vCPU thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_options.h"

namespace nandu {

struct PcieRootPortOptions : PciDeviceOptions {
  uint8_t port = 0;             // Port Number of Link Capabilities
  uint8_t chassis = 0;          // chassis and slot together are unique
  uint16_t slot = 0;            // Physical Slot Number, up to 8191
  std::optional<bool> hotplug;  // only off can be served
};
BOOST_DESCRIBE_STRUCT(PcieRootPortOptions, (PciDeviceOptions), (port, chassis, slot, hotplug))
Result<> Validate(const PcieRootPortOptions& options);

class PcieRootPort final : public Device {
 public:
  // `id` names the port and its secondary bus.
  static Result<std::unique_ptr<PcieRootPort>> Create(const std::string& id,
                                                      const PcieRootPortOptions& options, PciBus& parent,
                                                      MsiAllocator& msi);
  ~PcieRootPort() override;

  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return "pcie-root-port"; }
  std::string StatePath() const override;
  PciFunction* pci() override { return &function_; }
  PciBus* bus() override { return secondary_.get(); }
  void Reset() override { function_.Reset(); }
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& writer) const override { function_.Save(writer); }
  Result<> Load(const StateReader& reader) override { return function_.Load(reader); }

 private:
  PcieRootPort(std::string id, const PcieRootPortOptions& options, PciBus& parent);
  Result<> AddCapabilities(MsiAllocator& msi);
  void ShowLink();  // Link Status and Slot Status follow what is in the slot

  const std::string id_;
  const PcieRootPortOptions options_;
  PciBus& parent_;
  PciFunction function_;
  std::unique_ptr<PciBus> secondary_;
  bool owns_physical_slot_ = false;
};

// The row for the device catalog.
const DeviceFactory& PcieRootPortFactory();

}  // namespace nandu
