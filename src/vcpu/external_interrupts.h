// Interrupt controllers outside KVM, as its vCPUs see them (kernel-irqchip=split): the 8259s, whose INTR pin
// goes to the first processor, and the IOAPIC, which is told when a level-triggered interrupt has ended.
#pragma once

#include <cstdint>
#include <optional>

namespace nandu {

// Leaf calls on vCPU threads. Whoever raises INTR kicks the first vCPU afterwards.
class ExternalInterrupts {
 public:
  ExternalInterrupts() = default;
  ExternalInterrupts(const ExternalInterrupts&) = delete;
  ExternalInterrupts& operator=(const ExternalInterrupts&) = delete;
  virtual ~ExternalInterrupts() = default;
  virtual bool Pending() const = 0;  // INTR is high; takes no lock
  // The acknowledge cycle: the vector; none when INTR has fallen meanwhile.
  virtual std::optional<uint8_t> Acknowledge() = 0;
  // Whether a vector that was acknowledged is still in service.
  virtual bool InService(uint8_t vector) const = 0;
  virtual void EndOfInterrupt(uint8_t vector) = 0;
};

}  // namespace nandu
