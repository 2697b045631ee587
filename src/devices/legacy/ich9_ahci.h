// The ICH9's SATA function at 1f.2 in AHCI mode, with nothing connected: drives come with their own issue and
// are refused by the command line until then. Intel ICH9 datasheet (316972), chapter 14. Device functions:
// control thread; registers: any vCPU thread.
//
// It writes guest memory only from within a vCPU's register access, so nothing is in flight once vCPUs stand.
#pragma once

#include <cstdint>
#include <memory>

#include <nandu/device.h>

#include "base/result.h"
#include "devices/legacy/ahci_hba.h"
#include "devices/legacy/legacy_device.h"
#include "devices/pci/pci_function.h"

namespace nandu {

class Ich9Ahci final : public LegacyDevice, private AhciHba::Bus {
 public:
  static constexpr uint8_t kDevfn = 0xfa;  // 1f.2
  static Result<std::unique_ptr<Ich9Ahci>> Create(DeviceHost& host, PciBus& root);
  ~Ich9Ahci() override;

  PciFunction* pci() override { return &function_; }
  void Reset() override;
  void Resume() override { hba_.RedriveIrq(); }
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const AhciHba::Counters& counters() const { return hba_.counters(); }

 private:
  Ich9Ahci();
  Result<> DescribeFunction(MsiAllocator& msi);
  void SetInterrupt(bool level) override;
  bool MayWriteMemory() const override { return function_.bus_master(); }
  bool WriteMemory(uint64_t at, const void* from, uint64_t bytes) override {
    return function_.dma().Write(at, from, bytes);
  }

  mutable PciFunction function_;
  AhciHba hba_;
  PciBus* bus_ = nullptr;
};

}  // namespace nandu
