// A serial port: a 16550A between its I/O ports and a character backend. `-serial`, `-device isa-serial`.
// Control thread; registers any vCPU.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/uart.h"
#include "memory/address_space.h"

namespace nandu {

class BytePorts;

class SerialDevice final : public LegacyDevice, private AcpiContributor {
 public:
  struct Options {
    std::string id = {};                   // "#serial0" when the user gave none
    unsigned index = 0;                    // 0..3: COM1..COM4
    std::optional<uint16_t> io_base = {};  // the index's when absent
    std::optional<unsigned> irq = {};
    std::shared_ptr<Chardev> chardev = {};  // null: bytes vanish
  };
  // Attaches to the chardev and maps the eight ports.
  static Result<std::unique_ptr<SerialDevice>> Create(DeviceHost& host, Options options);
  ~SerialDevice() override;

  // Device
  AcpiContributor* acpi() override { return this; }
  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

  const Uart::Counters& counters() const { return uart_.counters(); }

 private:
  SerialDevice(DeviceHost& host, const Options& options);
  void ContributeAcpi(AmlSink& sink) const override;
  void WantInput();

  ControlLoop& loop_;
  const unsigned index_;
  const uint16_t io_base_;
  const unsigned irq_number_;
  const std::shared_ptr<Chardev> chardev_;
  const std::shared_ptr<bool> alive_;  // posted work asks it; both live on the control thread
  const std::unique_ptr<IrqLine> irq_;
  Uart uart_;
  std::shared_ptr<CharOutput> output_;
  bool quiesced_ = false;
  bool attached_ = false;
  Mapping mapping_;
};

// The row for the catalog.
const DeviceFactory& IsaSerialFactory();

}  // namespace nandu
