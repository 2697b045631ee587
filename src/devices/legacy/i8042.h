// The keyboard controller at 0x60 and 0x64 with a keyboard (IRQ 1) and a mouse (IRQ 12), and the fast A20 and
// reset port at 0x92. IBM PS/2 Hardware Interface Technical Reference, "Keyboard and auxiliary device
// controller" and "System control port A". Any vCPU thread.
//
// A20 is remembered and read back but masks nothing: KVM's guests always have it open.
#pragma once

#include <cstdint>
#include <memory>

#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/ps2_keyboard.h"
#include "devices/legacy/ps2_mouse.h"
#include "memory/address_space.h"

namespace nandu {

struct I8042State {
  uint8_t mode = 0x03;  // the command byte: both interrupts enabled
  uint8_t output_port = 0xcf;
  uint8_t status = 0x18;  // without the bits that follow from the output buffer
  uint8_t awaiting = 0;   // the command whose parameter comes at 0x60 next; 0: none
  bool output_full = false;
  bool output_from_mouse = false;
  bool output_from_controller = false;
  uint8_t output = 0;
  uint8_t port92 = 0;
  Ps2KeyboardState keyboard;
  Ps2MouseState mouse;
};

class I8042 final : public LegacyDevice, private AcpiContributor {
 public:
  struct Counters {
    Counter unknown_commands;
    Counter lost_bytes;  // the controller's own answers to a guest that does not read
  };
  static Result<std::unique_ptr<I8042>> Create(DeviceHost& host);
  ~I8042() override;

  AcpiContributor* acpi() override { return this; }
  void Reset() override;
  // What a PC's firmware leaves behind: translated scan codes, the mouse port off until a driver wants it.
  void SetUpAsFirmware();
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  explicit I8042(DeviceHost& host);
  void ContributeAcpi(AmlSink& sink) const override;
  uint8_t ReadData();
  uint8_t ReadStatus();
  void WriteData(uint8_t value);
  void WriteCommand(uint8_t value);
  uint8_t ReadPort92();
  void WritePort92(uint8_t value);
  enum class After : uint8_t { kNothing, kReset };  // what to ask of the machine once the lock is free
  After CommandLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  After DataLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  After WriteOutputPortLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  enum class Source : uint8_t { kController, kKeyboard, kMouse };
  void FillLocked(Source source, uint8_t value) NANDU_TA(requires_capability(mutex_));
  void AnswerLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void NextLocked() NANDU_TA(requires_capability(mutex_));
  void UpdateIrqsLocked() NANDU_TA(requires_capability(mutex_));
  void Do(After after);

  DeviceHost& host_;
  const std::unique_ptr<IrqLine> keyboard_irq_;
  const std::unique_ptr<IrqLine> mouse_irq_;
  Counters counters_;
  mutable Mutex mutex_;
  I8042State state_ NANDU_TA(guarded_by(mutex_));  // but for keyboard and mouse
  Ps2Keyboard keyboard_ NANDU_TA(guarded_by(mutex_));
  Ps2Mouse mouse_ NANDU_TA(guarded_by(mutex_));
  Mapping data_;
  Mapping command_;
  Mapping port92_;
};

}  // namespace nandu
