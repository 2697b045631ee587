// Any virtio device as a PCI device of the machine: joins a VirtioDevice, its PCI function and the transport
// between them. Factories build their device and hand it over:
//
//   const VirtioRngOptions parsed = TRY(FromJson<VirtioRngOptions>(options, {.path = "virtio-rng-pci",
//   ...})); auto rng = std::make_unique<RngDevice>(...); return VirtioPciDevice::Create(host, {.id = id,
//   .driver = "virtio-rng-pci", .default_vectors = 2}, parsed, std::move(rng));
//
// Control thread, but for what Device says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/device.h>

#include "devices/pci/pci_function.h"
#include "devices/pci/pci_rom.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_transport.h"

namespace nandu {

struct VirtioPciSpec {
  std::string id;
  std::string_view driver;       // "virtio-blk-pci"; static
  unsigned default_vectors = 2;  // where vectors= is not given
  std::optional<int32_t> bootindex = std::nullopt;
  std::function<DiskFacts()> disk = nullptr;  // of a disk; control thread
  std::string_view boot_path_end = {};          // see Device::BootChoice; static
  std::shared_ptr<const PciRom> rom = nullptr;  // where Create found one
};

class VirtioPciDevice final : public Device {
 public:
  static Result<std::unique_ptr<Device>> Create(DeviceHost& host, const VirtioPciSpec& spec,
                                                const VirtioPciOptions& options,
                                                std::unique_ptr<VirtioDevice> device);
  // The same without a host: for tests, and for whoever has the bus at hand.
  static Result<std::unique_ptr<VirtioPciDevice>> Attach(PciBus& bus, MsiAllocator& msi,
                                                         const VirtioPciSpec& spec,
                                                         const VirtioPciOptions& options,
                                                         std::unique_ptr<VirtioDevice> device);
  ~VirtioPciDevice() override;  // while quiesced

  const std::string& id() const override { return spec_.id; }
  std::string_view driver() const override { return spec_.driver; }
  std::string StatePath() const override;
  PciFunction* pci() override { return &function_; }
  std::optional<DiskFacts> disk() const override {
    return spec_.disk ? std::optional<DiskFacts>(spec_.disk()) : std::nullopt;
  }
  std::optional<BootChoice> boot_choice() const override {
    return spec_.bootindex ? std::optional(BootChoice{*spec_.bootindex, std::string(spec_.boot_path_end)})
                           : std::nullopt;
  }
  VirtioDevice& device() { return *device_; }
  VirtioPciTransport& transport() { return *transport_; }

  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override { transport_->Quiesce(std::move(done)); }
  std::vector<std::string> StuckRequests() const override { return device_->StuckRequests(); }
  void Resume() override { transport_->Resume(); }
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  VirtioPciDevice(PciBus& bus, const VirtioPciSpec& spec, const PciIdentity& identity, bool express,
                  std::unique_ptr<VirtioDevice> device);
  Result<> Build(const VirtioPciTraits& traits, MsiAllocator& msi);

  const VirtioPciSpec spec_;
  PciBus& bus_;
  std::unique_ptr<VirtioDevice> device_;
  PciFunction function_;
  std::unique_ptr<VirtioPciTransport> transport_;
};

}  // namespace nandu
