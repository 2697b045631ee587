// The two 8259As of a PC, for a board whose interrupt controllers are not the kernel's: ports 0x20, 0xa0 and
// the edge/level registers at 0x4d0. The slave's output is the master's line 2. Intel 8259A datasheet
// (231468). Registers and lines: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/i8259_chip.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

struct I8259State {
  I8259ChipState master;
  I8259ChipState slave;
};

class I8259 final : public LegacyDevice {
 public:
  static constexpr unsigned kLines = 16;
  struct Counters {
    Counter acknowledged;
    Counter spurious;  // the slave's request was gone when it was acknowledged
  };
  // `intr`: the processor's INTR pin; outlives the device, a leaf call.
  static Result<std::unique_ptr<I8259>> Create(DeviceHost& host, IrqLine& intr);
  ~I8259() override;

  void SetLine(unsigned line, bool high);  // lines 0..15; line 2 is the cascade and takes none
  // The processor's acknowledge cycle: the vector; none when INTR has fallen meanwhile.
  std::optional<uint8_t> Acknowledge();

  bool InService(uint8_t vector) const;  // it was acknowledged, and its end was not told yet

  void Reset() override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  explicit I8259(IrqLine& intr);
  Result<> MapAll(DeviceHost& host);
  uint8_t Read(unsigned chip, unsigned port);
  void Write(unsigned chip, unsigned port, uint8_t value);
  I8259Chip& ChipLocked(unsigned chip) NANDU_TA(requires_capability(mutex_));
  void UpdateLocked() NANDU_TA(requires_capability(mutex_));

  IrqLine& intr_;
  Counters counters_;
  mutable Mutex mutex_;
  I8259Chip master_ NANDU_TA(guarded_by(mutex_));
  I8259Chip slave_ NANDU_TA(guarded_by(mutex_));
  std::array<Mapping, 3> mappings_;
};

}  // namespace nandu
