// The IOAPIC at 0xfec00000, for a board whose interrupt controllers are not the kernel's: 24 pins, version
// 0x20. Intel 82093AA datasheet (290566); the EOI register of version 0x20: ICH9 datasheet (316972),
// section 13.5.1. Registers, pins and ends of interrupts: any thread.
//
// What a pin sends is a message to the processors' local APICs, as an MSI is. The receiver is told of every
// pin's message before the first is sent: it must know which ends of interrupts to report.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <nandu/clock.h>
#include <nandu/io_handler.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

// Where messages go to. Leaf calls, any thread.
class IoApicOutput {
 public:
  IoApicOutput() = default;
  IoApicOutput(const IoApicOutput&) = delete;
  IoApicOutput& operator=(const IoApicOutput&) = delete;
  virtual ~IoApicOutput() = default;
  // What the pin sends from now on; none: it is masked and nobody's interrupt waits for its end.
  virtual void SetRoute(unsigned pin, const std::optional<MsiMessage>& message) = 0;
  virtual void Send(const MsiMessage& message) = 0;
  // Whether some local APIC has the vector requested or in service. While the processors stand still.
  virtual bool IsHeld(uint8_t vector) = 0;
};

struct IoApicRegisters {
  uint8_t select = 0;     // IOREGSEL
  uint8_t id = 0;         // bits 27:24 of IOAPICID
  uint32_t lines = 0;     // levels as they came in
  uint32_t requests = 0;  // pins with an interrupt to send
  std::array<uint64_t, 24> redirection = {};
};

class IoApic final : public LegacyDevice {
 public:
  static constexpr unsigned kPins = 24;
  struct Counters {
    Counter ignored_accesses;  // widths and registers that are not there
    Counter ignored_edges;     // on masked pins (82093AA, 3.2.4)
    Counter unseen_ends;       // of interrupts, found at a resume
    Counter undeliverable;     // ExtINT and reserved delivery modes
    Counter storms;            // a level that was sent again and again without end is held back for a moment
  };
  // `output` outlives the device.
  static Result<std::unique_ptr<IoApic>> Create(DeviceHost& host, IoApicOutput& output);
  ~IoApic() override;

  void SetPin(unsigned pin, bool high);
  // A processor has ended the interrupt of this vector.
  void EndOfInterrupt(uint8_t vector);
  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  class Registers final : public IoHandler {
   public:
    explicit Registers(IoApic& owner) : owner_(owner) {}
    std::string_view name() const override { return "ioapic"; }
    uint64_t Read(uint64_t offset, unsigned size) override { return owner_.Read(offset, size); }
    ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
      owner_.Write(offset, size, value);
      return ExitDone::Done();
    }

   private:
    IoApic& owner_;
  };
  IoApic(DeviceHost& host, IoApicOutput& output);
  uint64_t Read(uint64_t offset, unsigned size);
  void Write(uint64_t offset, unsigned size, uint64_t value);
  uint32_t ReadWindowLocked() NANDU_TA(requires_capability(mutex_));
  void WriteWindowLocked(uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WriteEntryLocked(unsigned pin, uint64_t entry) NANDU_TA(requires_capability(mutex_));
  void ServePinLocked(unsigned pin) NANDU_TA(requires_capability(mutex_));
  void RouteLocked(unsigned pin) NANDU_TA(requires_capability(mutex_));
  void EndUnseenLocked() NANDU_TA(requires_capability(mutex_));
  void EndPinLocked(unsigned pin) NANDU_TA(requires_capability(mutex_));
  void OnStormOver();

  Clock& clock_;
  IoApicOutput& output_;
  Counters counters_;
  mutable Mutex mutex_;
  IoApicRegisters state_ NANDU_TA(guarded_by(mutex_));
  std::array<std::optional<MsiMessage>, kPins> routes_
      NANDU_TA(guarded_by(mutex_));                                       // as the output knows them
  std::array<unsigned, kPins> resent_ NANDU_TA(guarded_by(mutex_)) = {};  // in a row, at ends of interrupts
  Mapping mapping_;
  const std::unique_ptr<Timer> storm_timer_;
};

Result<> Validate(const IoApicRegisters& state);

}  // namespace nandu
