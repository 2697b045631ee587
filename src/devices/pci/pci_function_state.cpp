#include "devices/pci/pci_function_state.h"

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_function_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {
constexpr std::string_view kSection = "pci";
}

void PciFunction::Save(const StateWriter& writer) const {
  PciFunctionState state;
  {
    const MutexLock lock(impl_->mutex);
    state.config = impl_->config.bytes();
    state.intx = impl_->intx_level;
  }
  if (impl_->msix) {
    state.msix = impl_->msix->Save();
  }
  writer.Child(kSection).Put(state);
}

Result<> PciFunction::Load(const StateReader& reader) {
  const PciFunctionState state = TRY(reader.Child(kSection).Get<PciFunctionState>());
  if (impl_->msix) {
    TRY(Prefix(impl_->msix->CheckLoaded(state.msix), name_));
  } else if (!state.msix.empty()) {
    return Fail(Errc::kCorrupt, "{}: {} interrupt vectors, here none", name_, state.msix.size());
  }
  if (state.intx && identity_.interrupt_pin == 0) {
    return Fail(Errc::kCorrupt, "{}: an interrupt is requested, but it has no interrupt pin", name_);
  }
  {
    const MutexLock lock(impl_->mutex);
    TRY(Prefix(impl_->config.CheckLoaded(state.config), name_));
    impl_->config.SetBytes(state.config);
    impl_->intx_level = state.intx;
    impl_->config.Put(pci::kStatus, 2, state.intx ? pci::kStatusInterrupt : 0, pci::kStatusInterrupt);
    if (impl_->msix) {
      impl_->msix->Load(state.msix);
    }
    impl_->Apply(*this);
  }
  if (PciBus* const bus = impl_->bus) {
    bus->UpdateMappings(*this);
  }
  return {};
}

}  // namespace nandu
