#include "kvm/irq_router.h"

#include <algorithm>
#include <errno.h>

#include "base/check.h"
#include "base/log.h"

namespace nandu {
namespace {

kvm_irq_routing_entry PinRoute(uint32_t gsi, uint32_t chip, uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

kvm_irq_routing_entry MsiRoute(uint32_t gsi, const MsiMessage& message) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<uint32_t>(message.address);
  entry.u.msi.address_hi = static_cast<uint32_t>(message.address >> 32);
  entry.u.msi.data = message.data;
  return entry;
}

}  // namespace

Result<std::unique_ptr<KvmIrqRouter>> KvmIrqRouter::Create(KvmVm& vm) {
  std::unique_ptr<KvmIrqRouter> router(new KvmIrqRouter(vm));
  const MutexLock lock(router->mutex_);
  TRY(router->Publish());
  return router;
}

Result<> KvmIrqRouter::Publish() {
  std::vector<kvm_irq_routing_entry> entries;
  entries.reserve(16 + kPinGsis + msis_.size());
  for (uint32_t irq = 0; irq < 16; ++irq) {
    entries.push_back(PinRoute(irq, irq < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, irq % 8));
  }
  for (uint32_t gsi = 0; gsi < kPinGsis; ++gsi) {
    if (gsi != 2) {  // the PIC's cascade, no input of the IOAPIC
      entries.push_back(PinRoute(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi));
    }
  }
  for (size_t i = 0; i < msis_.size(); ++i) {
    if (msis_[i].routed) {
      entries.push_back(MsiRoute(kPinGsis + static_cast<uint32_t>(i), msis_[i].message));
    }
  }
  KvmArray<kvm_irq_routing, kvm_irq_routing_entry> array(entries.size());
  array.header()->nr = static_cast<uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), array.entries());
  table_updates_.Add();
  return vm_.Call(KVM_SET_GSI_ROUTING, array.header(), "KVM refuses the interrupt routing table");
}

Result<uint32_t> KvmIrqRouter::ReserveMsi() {
  const MutexLock lock(mutex_);
  const auto free =
      std::find_if(msis_.begin(), msis_.end(), [](const MsiSlot& slot) { return !slot.reserved; });
  const size_t index = static_cast<size_t>(free - msis_.begin());
  // GSIs are below the number of routes KVM takes.
  if (kPinGsis + index >= static_cast<size_t>(vm_.cap(KVM_CAP_IRQ_ROUTING))) {
    return Fail(Errc::kBusy, "all {} interrupt routes of this VM are in use", vm_.cap(KVM_CAP_IRQ_ROUTING));
  }
  if (free == msis_.end()) {
    msis_.emplace_back();
  }
  msis_[index].reserved = true;
  return kPinGsis + static_cast<uint32_t>(index);
}

bool KvmIrqRouter::SetMsi(uint32_t gsi, const MsiMessage& message) {
  const MutexLock lock(mutex_);
  NANDU_CHECK(gsi >= kPinGsis && gsi - kPinGsis < msis_.size(), "an MSI's GSI came from ReserveMsi");
  MsiSlot& slot = msis_[gsi - kPinGsis];
  if (slot.routed && slot.message == message) {
    return true;
  }
  const MsiSlot before = slot;
  slot.routed = true;
  slot.message = message;
  if (const Result<> published = Publish(); !published) {
    Log(LogLevel::kWarning, "{}", published.error().message);
    slot = before;
    return false;
  }
  return true;
}

void KvmIrqRouter::ReleaseMsi(uint32_t gsi) {
  const MutexLock lock(mutex_);
  NANDU_CHECK(gsi >= kPinGsis && gsi - kPinGsis < msis_.size(), "an MSI's GSI came from ReserveMsi");
  // The route stays in the table until it is next published: nothing is connected to it any more.
  msis_[gsi - kPinGsis] = {};
}

Result<> KvmIrqRouter::SetIrqFd(uint32_t gsi, int fd, bool connect) {
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(fd);
  irqfd.gsi = gsi;
  irqfd.flags = connect ? 0 : KVM_IRQFD_FLAG_DEASSIGN;
  return vm_.Call(KVM_IRQFD, &irqfd, "KVM_IRQFD");
}

}  // namespace nandu
