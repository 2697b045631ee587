#include "devices/legacy/irq_router.h"

#include <utility>

namespace nandu {
namespace {

constexpr uint8_t kNotRouted = 0x80;  // PIRQx_ROUT, IRQEN: not routed to the 8259
constexpr uint8_t kIrqMask = 0x0f;
constexpr uint16_t kReserved =
    1 << 0 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 13;  // 13.1.15: settings that route nowhere

bool RoutedTo(uint8_t route, unsigned irq) {
  return (route & kNotRouted) == 0 && (route & kIrqMask) == irq && (kReserved >> irq & 1) == 0;
}

}  // namespace

IrqRouter::IrqRouter(IsaLines isa, Gsis gsis) : isa_(std::move(isa)), gsis_(std::move(gsis)) {
  const MutexLock lock(mutex_);
  routes_.fill(kNotRouted);
}

uint16_t IrqRouter::RoutedLocked() const {
  unsigned lines = sci_to_ < kIsaIrqs ? 1u << sci_to_ : 0;
  for (unsigned irq = 0; irq < kIsaIrqs; irq++) {
    for (const uint8_t route : routes_) {
      lines |= RoutedTo(route, irq) ? 1u << irq : 0;
    }
  }
  return static_cast<uint16_t>(lines);
}

void IrqRouter::DriveIsaLocked(unsigned irq) {
  bool level = sci_ && sci_to_ == irq;
  for (unsigned pirq = 0; pirq < kPirqs; pirq++) {
    level = level || (pirq_[pirq] && RoutedTo(routes_[pirq], irq));
  }
  isa_[irq]->Set(level);
}

void IrqRouter::DriveGsiLocked(unsigned pirq) {
  gsis_[pirq]->Set(pirq_[pirq] || (sci_ && sci_to_ == kFirstGsi + pirq));
}

void IrqRouter::SetPirq(unsigned pirq, bool level) {
  const MutexLock lock(mutex_);
  if (pirq >= kPirqs) {
    return;
  }
  pirq_[pirq] = level;
  DriveGsiLocked(pirq);
  const unsigned irq = routes_[pirq] & kIrqMask;
  if (RoutedTo(routes_[pirq], irq)) {
    DriveIsaLocked(irq);
  }
}

void IrqRouter::SetSci(bool level) {
  const MutexLock lock(mutex_);
  sci_ = level;
  if (sci_to_ < kIsaIrqs) {
    DriveIsaLocked(sci_to_);
  } else {
    DriveGsiLocked(sci_to_ - kFirstGsi);
  }
}

void IrqRouter::SetRoutes(const std::array<uint8_t, kPirqs>& routes, unsigned sci) {
  const MutexLock lock(mutex_);
  const uint16_t before = RoutedLocked();
  const unsigned sci_before = sci_to_;
  routes_ = routes;
  sci_to_ = sci;
  // Also the lines that nobody is routed to any more: they fall.
  const unsigned affected = before | RoutedLocked();
  for (unsigned irq = 0; irq < kIsaIrqs; irq++) {
    if ((affected >> irq & 1) != 0) {
      DriveIsaLocked(irq);
    }
  }
  for (const unsigned to : {sci_before, sci_to_}) {
    if (to >= kFirstGsi) {
      DriveGsiLocked(to - kFirstGsi);
    }
  }
}

void IrqRouter::Redrive() {
  const MutexLock lock(mutex_);
  const unsigned routed = RoutedLocked();
  for (unsigned irq = 0; irq < kIsaIrqs; irq++) {
    if ((routed >> irq & 1) != 0) {
      DriveIsaLocked(irq);
    }
  }
  for (unsigned pirq = 0; pirq < kPirqs; pirq++) {
    DriveGsiLocked(pirq);
  }
}

}  // namespace nandu
