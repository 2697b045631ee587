// Where the ICH9 sends PCI interrupts and the SCI: PIRQA..H to IOAPIC inputs 16..23, and by their routing
// registers to an 8259 input as well. Several sources on one line are ORed. Intel ICH9 datasheet,
// sections 5.8.5, 13.1.15 and 13.1.17. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <nandu/irq.h>

#include "base/thread_annotations.h"

namespace nandu {

class IrqRouter {
 public:
  static constexpr unsigned kPirqs = 8;
  static constexpr unsigned kIsaIrqs = 16;
  static constexpr unsigned kFirstGsi = 16;

  using IsaLines = std::array<std::unique_ptr<IrqLine>, kIsaIrqs>;
  using Gsis = std::array<std::unique_ptr<IrqLine>, kPirqs>;

  // The router's shares of ISA lines 0..15 and of IOAPIC inputs 16..23.
  IrqRouter(IsaLines isa, Gsis gsis);

  void SetPirq(unsigned pirq, bool level);
  void SetSci(bool level);
  // PIRQx_ROUT as the guest wrote them, and where ACPI_CNTL sends the SCI: 9, 10, 11, 20 or 21.
  void SetRoutes(const std::array<uint8_t, kPirqs>& routes, unsigned sci);
  void Redrive();  // every line this router owns

 private:
  void DriveIsaLocked(unsigned irq) NANDU_TA(requires_capability(mutex_));
  void DriveGsiLocked(unsigned pirq) NANDU_TA(requires_capability(mutex_));
  uint16_t RoutedLocked() const NANDU_TA(requires_capability(mutex_));  // ISA lines somebody is routed to

  const IsaLines isa_;
  const Gsis gsis_;
  Mutex mutex_;
  std::array<bool, kPirqs> pirq_ NANDU_TA(guarded_by(mutex_)) = {};
  bool sci_ NANDU_TA(guarded_by(mutex_)) = false;
  std::array<uint8_t, kPirqs> routes_ NANDU_TA(guarded_by(mutex_));
  unsigned sci_to_ NANDU_TA(guarded_by(mutex_)) = 9;
};

}  // namespace nandu
