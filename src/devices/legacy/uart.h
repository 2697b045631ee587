// 16550A UART: registers, FIFOs and interrupts. PC16550D datasheet, section 8. Any vCPU thread may call Read
// and Write; the far end's calls come from the control loop.
//
// Rates are not emulated: a transmitted byte leaves at once when the far end takes it. "Transmitter holding
// register empty" says that a full FIFO of 16 bytes fits the output queue, so a guest that obeys it loses
// nothing, however slow the terminal; its interrupt comes once per batch, when the queue ran empty.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <nandu/clock.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_function.h"
#include "devices/legacy/char_output.h"

namespace nandu {

struct UartState {
  uint8_t interrupt_enable = 0;
  uint8_t fifo_control = 0;
  uint8_t line_control = 0;
  uint8_t modem_control = 0x08;
  uint8_t line_errors = 0;  // the error bits of LSR; its other bits follow from the rest
  uint8_t modem_status = 0xb0;
  uint8_t scratch = 0;
  uint16_t divisor = 0x0c;
  bool transmit_pending = false;  // the interrupt that IIR's read clears
  bool timeout_pending = false;
  std::vector<uint8_t> received;
  std::vector<uint8_t> transmit;  // accepted from the guest, not yet taken by the far end
};
Result<> Validate(const UartState& state);

class Uart {
 public:
  struct Counters {
    Counter transmit_overruns;  // written while the queue was full
    Counter receive_overruns;
    Counter line_breaks;
  };
  static constexpr size_t kQueueBytes = 4096;

  // `input_wanted` is called from a vCPU thread, under the lock: there is room for input again. It may only
  // post.
  Uart(IrqLine& irq, Clock& clock, UniqueFunction<void()> input_wanted);
  ~Uart();
  Uart(const Uart&) = delete;
  Uart& operator=(const Uart&) = delete;
  void Connect(std::shared_ptr<CharOutput> output) {
    output_ = std::move(output);
  }  // before the first access

  // ---- the guest's side ----
  uint8_t Read(unsigned reg);
  void Write(unsigned reg, uint8_t value);

  // ---- the far end's side, control loop ----
  size_t Room();
  void Receive(std::span<const std::byte> bytes);
  void ReceiveBreak();
  void OnDrained();

  void Reset();
  void RedriveIrq();
  UartState Save() const;  // while the output is held
  void Load(const UartState& state);
  const Counters& counters() const { return counters_; }

 private:
  bool FifosOnLocked() const NANDU_TA(requires_capability(mutex_));
  size_t TriggerLocked() const NANDU_TA(requires_capability(mutex_));
  size_t RoomLocked() const NANDU_TA(requires_capability(mutex_));
  uint8_t LineStatusLocked() const NANDU_TA(requires_capability(mutex_));
  uint8_t ModemStatusLocked() NANDU_TA(requires_capability(mutex_));
  uint8_t InterruptIdLocked() const NANDU_TA(requires_capability(mutex_));
  uint8_t ReadDataLocked() NANDU_TA(requires_capability(mutex_));
  void WriteDataLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteInterruptEnableLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteFifoControlLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteModemControlLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void PushReceivedLocked(uint8_t byte) NANDU_TA(requires_capability(mutex_));
  void ArmTimeoutLocked() NANDU_TA(requires_capability(mutex_));
  void UpdateIrqLocked() NANDU_TA(requires_capability(mutex_));
  void OnTimeout();

  IrqLine& irq_;
  Clock& clock_;
  const UniqueFunction<void()> input_wanted_;
  std::shared_ptr<CharOutput> output_;
  Counters counters_;
  mutable Mutex mutex_;
  UartState state_ NANDU_TA(guarded_by(mutex_));
  const std::unique_ptr<Timer> timeout_;
};

}  // namespace nandu
