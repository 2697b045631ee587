// The ICH9's SATA function at 1f.2 in AHCI mode, with six ports for drives (ide_drive.h): the buses ide.0 to
// ide.5. Intel ICH9 datasheet (316972), chapter 14. Device functions: control thread; registers: any vCPU
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nandu/device.h>

#include "base/result.h"
#include "devices/legacy/ahci_hba.h"
#include "devices/legacy/ahci_port.h"
#include "devices/legacy/legacy_device.h"
#include "devices/pci/pci_function.h"

namespace nandu {

class Ich9Ahci;

// Where one drive is connected.
class IdeBus final : public DeviceBus {
 public:
  static constexpr std::string_view kKind = "IDE";
  IdeBus(Ich9Ahci& controller, unsigned port);
  std::string_view kind() const override { return kKind; }
  const std::string& bus_id() const override { return id_; }
  unsigned port() const { return port_; }
  Ich9Ahci& controller() const { return controller_; }

 private:
  Ich9Ahci& controller_;
  const unsigned port_;
  const std::string id_;
};

class Ich9Ahci final : public LegacyDevice, private AhciHba::Bus {
 public:
  static constexpr uint8_t kDevfn = 0xfa;  // 1f.2
  static Result<std::unique_ptr<Ich9Ahci>> Create(DeviceHost& host, PciBus& root);
  ~Ich9Ahci() override;

  PciFunction* pci() override { return &function_; }
  // A drive on a port's bus, while no vCPU runs; and away again, while it is quiesced.
  Result<std::shared_ptr<AhciPort>> Connect(unsigned port, EventLoop& loop, std::shared_ptr<AtaDrive> drive);
  void Disconnect(unsigned port);
  bool connected(unsigned port) const { return ports_.at(port) != nullptr; }
  std::string DriveStatePath(unsigned port) const { return Format("{}/ide.{}", StatePath(), port); }

  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override;
  std::vector<std::string> StuckRequests() const override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const AhciHba::Counters& counters() const { return hba_.counters(); }

 private:
  explicit Ich9Ahci(DeviceHost& host);
  void DrainPorts(AhciPort::Then then, UniqueFunction<void()> done);
  ExitDone OnConfigWrite();
  Result<> DescribeFunction(MsiAllocator& msi);
  void SetInterrupt(bool level) override;
  bool MayWriteMemory() const override { return function_.bus_master(); }
  bool WriteMemory(uint64_t at, const void* from, uint64_t bytes) override {
    return function_.dma().Write(at, from, bytes);
  }

  DeviceHost& host_;
  mutable PciFunction function_;
  AhciHba hba_;
  PciBus* bus_ = nullptr;
  std::array<std::shared_ptr<AhciPort>, AhciState::kPorts> ports_;  // null: nothing is connected
  std::vector<std::unique_ptr<IdeBus>> buses_;
};

}  // namespace nandu
