#include "kvm/irq_router.h"

#include <algorithm>
#include <errno.h>
#include <sys/ioctl.h>

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

void AddKernelPins(std::vector<kvm_irq_routing_entry>* entries) {
  for (uint32_t irq = 0; irq < 16; ++irq) {
    entries->push_back(PinRoute(irq, irq < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, irq % 8));
  }
  for (uint32_t gsi = 0; gsi < KvmIrqRouter::kPinGsis; ++gsi) {
    if (gsi != 2) {  // the PIC's cascade, no input of the IOAPIC
      entries->push_back(PinRoute(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi));
    }
  }
}

}  // namespace

uint64_t KvmIrqRouter::ToKvm(uint64_t address) const {
  constexpr uint64_t kExtended = 0xfe0, kRemappable = 0x10;
  constexpr unsigned kToUpperHalf = 35;  // bit 5 to bit 40: KVM_CAP_X2APIC_API's 32-bit destinations
  if (!options_.extended_destinations || (address & kRemappable) != 0 || address >> 32 != 0) {
    return address;
  }
  return (address & ~kExtended) | (address & kExtended) << kToUpperHalf;
}

kvm_irq_routing_entry KvmIrqRouter::MsiRoute(uint32_t gsi, const MsiMessage& message) const {
  const uint64_t address = ToKvm(message.address);
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<uint32_t>(address);
  entry.u.msi.address_hi = static_cast<uint32_t>(address >> 32);
  entry.u.msi.data = message.data;
  return entry;
}

Result<std::unique_ptr<KvmIrqRouter>> KvmIrqRouter::Create(KvmVm& vm, const Options& options) {
  std::unique_ptr<KvmIrqRouter> router(new KvmIrqRouter(vm, options));
  const MutexLock lock(router->mutex_);
  TRY(router->Publish());
  return router;
}

Result<> KvmIrqRouter::Publish() {
  std::vector<kvm_irq_routing_entry> entries;
  entries.reserve(16 + kPinGsis + msis_.size());
  if (options_.irqchip == KvmVm::Options::Irqchip::kKernel) {
    AddKernelPins(&entries);
  }
  for (uint32_t gsi = 0; gsi < kPinGsis; ++gsi) {
    if (pins_[gsi]) {
      entries.push_back(MsiRoute(gsi, *pins_[gsi]));
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

void KvmIrqRouter::SetPin(uint32_t gsi, const std::optional<MsiMessage>& message) {
  const MutexLock lock(mutex_);
  NANDU_CHECK(options_.irqchip == KvmVm::Options::Irqchip::kSplit && gsi < kPinGsis,
              "a pin is told of by the IOAPIC outside the kernel");
  if (pins_[gsi] == message) {
    return;
  }
  pins_[gsi] = message;
  if (const Result<> published = Publish(); !published) {
    static RateLimitedLog log("IOAPIC routes");
    log.Warn("pin {}: {}", gsi, published.error().message);
    pins_[gsi].reset();  // one bad message must not spoil the table for all others
  }
}

bool KvmIrqRouter::Signal(const MsiMessage& message) {
  const uint64_t address = ToKvm(message.address);
  kvm_msi msi{};
  msi.address_lo = static_cast<uint32_t>(address);
  msi.address_hi = static_cast<uint32_t>(address >> 32);
  msi.data = message.data;
  return ioctl(vm_.fd(), KVM_SIGNAL_MSI, &msi) >= 0;
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
