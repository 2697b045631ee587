// The port by which a guest kernel says that it panicked. Specification: QEMU, docs/specs/pvpanic.txt (port
// 0x505, bit 0 panicked, bit 1 crash kernel loaded; a read answers the bits that are understood). `-device
// pvpanic`. Any vCPU thread.
#pragma once

#include <memory>
#include <string>

#include "base/counter.h"
#include "base/result.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

class PvPanic final : public LegacyDevice, private AcpiContributor {
 public:
  struct Options {
    std::string id = {};
    uint16_t io_base = 0x505;
    uint8_t events = 3;
  };
  static Result<std::unique_ptr<PvPanic>> Create(DeviceHost& host, const Options& options);

  AcpiContributor* acpi() override { return this; }
  // It holds no state.
  void Reset() override {}
  void Resume() override {}
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }
  const Counter& ignored() const { return ignored_; }  // events that are not understood

 private:
  PvPanic(DeviceHost& host, const Options& options);
  void ContributeAcpi(AmlSink& sink) const override;
  void WriteEvents(uint8_t value);

  DeviceHost& host_;
  const uint16_t io_base_;
  const uint8_t events_;
  Counter ignored_;
  Mapping mapping_;
};

const DeviceFactory& PvPanicFactory();

}  // namespace nandu
