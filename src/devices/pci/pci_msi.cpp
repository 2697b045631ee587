// MSI of a PciFunction: one vector, a 64-bit address, no mask bits. The capability's registers are all its
// state. PCI Local Bus 3.0, section 6.8.1.
#include "devices/pci/pci_caps.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_function_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

Result<> PciFunction::EnableMsi(uint8_t at, MsiAllocator& allocator) {
  CapabilityBody caps(CapabilityBody::Space::kLegacy, pci::kMsiBytes);
  caps.Field(pci::kMsiControl, 2, pci::kMsiControl64Bit, pci::kMsiControlEnable);
  caps.Field(pci::kMsiAddress, 4, 0, ~3U);
  caps.Field(pci::kMsiAddressUpper, 4, 0, ~0U);
  caps.Field(pci::kMsiData, 2, 0, 0xffff);
  std::unique_ptr<MsiVector> vector = TRY(Prefix(allocator.Allocate(), name_));
  impl_->msi_capability = TRY(AddCapability(pci::kCapMsi, caps.body(), caps.writable(), at));
  impl_->msi = std::move(vector);
  return {};
}

bool PciFunction::Impl::MsiEnabled() const {
  return msi != nullptr && (config.Read(static_cast<uint16_t>(msi_capability + pci::kMsiControl), 2) &
                            pci::kMsiControlEnable) != 0;
}

void PciFunction::Impl::ProgramMsi() {
  if (!MsiEnabled()) {
    return;
  }
  const auto at = [this](unsigned offset) { return static_cast<uint16_t>(msi_capability + offset); };
  const uint64_t high = config.Read(at(pci::kMsiAddressUpper), 4);
  const MsiMessage message{high << 32 | config.Read(at(pci::kMsiAddress), 4),
                           config.Read(at(pci::kMsiData), 2)};
  if (msi_programmed != message) {
    msi->SetMessage(message);
    msi_programmed = message;
  }
}

bool PciFunction::msi_enabled() const {
  const MutexLock lock(impl_->mutex);
  return impl_->MsiEnabled();
}

void PciFunction::NotifyMsi() {
  const MutexLock lock(impl_->mutex);
  // A message is a memory write, which a function that is no bus master cannot make.
  if (impl_->MsiEnabled() && (impl_->config.Read(pci::kCommand, 2) & pci::kCommandMaster) != 0) {
    impl_->msi->Notify();
  } else {
    impl_->ignored.Add();
  }
}

}  // namespace nandu
