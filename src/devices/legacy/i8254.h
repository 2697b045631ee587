// The 8254 interval timer at 0x40 and the speaker's gate at 0x61, for a board whose timer is not the
// kernel's. Counter 0 raises IRQ 0, counter 2 is gated and read through port 0x61; there is no speaker to
// hear. Intel 8254 datasheet (231164); port 0x61: ICH9 datasheet (316972), section 13.7.1. Any vCPU thread;
// the timer fires on the control loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <nandu/clock.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/i8254_channel.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

struct I8254State {
  std::array<I8254ChannelState, 3> channels;
  bool speaker_data = false;       // port 0x61, bit 1
  bool disconnected = false;       // the HPET has IRQ 0
  std::optional<int64_t> edge_ns;  // VM clock of counter 0's next edge, which nobody was told of yet
};
Result<> Validate(const I8254State& state);

class I8254 final : public LegacyDevice {
 public:
  struct Counters {
    Counter merged_periods;  // periods too short to be told apart, or missed while the host was busy
    Counter ignored;         // reads and read-back commands that select nothing
  };
  // `irq`: counter 0's output.
  static Result<std::unique_ptr<I8254>> Create(DeviceHost& host, std::unique_ptr<IrqLine> irq);
  ~I8254() override;

  // The HPET's legacy replacement: counter 0's output reaches nobody. Any thread.
  void SetDisconnected(bool on);

  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  I8254(DeviceHost& host, std::unique_ptr<IrqLine> irq);
  Result<> MapAll(DeviceHost& host);
  uint8_t Read(unsigned port);
  void Write(unsigned port, uint8_t value);
  // True: counter 0 was programmed.
  bool ControlLocked(uint8_t value, int64_t now_ns) NANDU_TA(requires_capability(mutex_));
  void ReadBackLocked(uint8_t value, int64_t now_ns) NANDU_TA(requires_capability(mutex_));
  uint8_t ReadSpeaker();
  void WriteSpeaker(uint8_t value);
  // Counter 0 begins anew: its output goes to the line, and its next edge to the timer.
  void RestartLocked(int64_t now_ns) NANDU_TA(requires_capability(mutex_));
  void ArmLocked(int64_t earliest_ns) NANDU_TA(requires_capability(mutex_));
  bool FallsLocked(int64_t now_ns, int64_t late_ns) const NANDU_TA(requires_capability(mutex_));
  void OnTimer();

  Clock& clock_;
  const std::unique_ptr<IrqLine> irq_;
  Counters counters_;
  mutable Mutex mutex_;
  std::array<I8254Channel, 3> channels_ NANDU_TA(guarded_by(mutex_));
  bool speaker_data_ NANDU_TA(guarded_by(mutex_)) = false;
  bool disconnected_ NANDU_TA(guarded_by(mutex_)) = false;
  std::optional<int64_t> edge_ns_ NANDU_TA(guarded_by(mutex_));
  Mapping ports_;
  Mapping speaker_;
  const std::unique_ptr<Timer> timer_;
};

}  // namespace nandu
