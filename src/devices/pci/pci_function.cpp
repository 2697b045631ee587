#include "devices/pci/pci_function.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

void DefineHeader(const PciIdentity& identity, ConfigSpace* config) {
  config->Define(pci::kVendorId, 2, identity.vendor_id, 0);
  config->Define(pci::kDeviceId, 2, identity.device_id, 0);
  config->Define(pci::kCommand, 2, 0, pci::kCommandWritable);
  config->Define(pci::kRevision, 1, identity.revision, 0);
  config->Define(pci::kClassInterface, 3, identity.class_code, 0);
  config->Define(pci::kCacheLineSize, 1, 0, 0xff);
  const unsigned type =
      (identity.bridge ? pci::kHeaderBridge : 0U) | (identity.multifunction ? pci::kHeaderMultifunction : 0U);
  config->Define(pci::kHeaderType, 1, type, 0);
  config->Define(pci::kInterruptLine, 1, 0, 0xff);
  config->Define(pci::kInterruptPin, 1, identity.interrupt_pin, 0);
}

// PCI-to-PCI Bridge 1.2, section 3.2.5: 16-bit I/O, 64-bit prefetchable window; every window closed.
void DefineBridge(ConfigSpace* config) {
  config->Define(pci::kPrimaryBus, 4, 0, 0xffffffff);
  config->Define(pci::kIoBase, 2, 0x00f0, 0xf0f0);
  config->Define(pci::kMemoryBase, 4, 0x0000fff0, 0xfff0fff0);
  config->Define(pci::kPrefetchBase, 4, 0x0001fff1, 0xfff0fff0);
  config->Define(pci::kPrefetchBaseUpper, 4, 0, 0xffffffff);
  config->Define(pci::kPrefetchLimitUpper, 4, 0, 0xffffffff);
  config->Define(pci::kBridgeControl, 2, 0, pci::kBridgeControlWritable);
}

bool Overlaps(uint16_t reg, unsigned size, uint16_t first, uint16_t bytes) {
  return reg < first + bytes && first < reg + size;
}

}  // namespace

const PciFunction::Impl::Window* PciFunction::Impl::FindWindow(uint16_t reg, unsigned size) const {
  const auto found = std::find_if(windows.begin(), windows.end(), [reg, size](const Window& window) {
    return reg >= window.reg && reg + size <= static_cast<unsigned>(window.reg) + window.bytes;
  });
  return found == windows.end() ? nullptr : &*found;
}

PciFunction::PciFunction(std::string name, const PciIdentity& identity, bool express)
    : name_(std::move(name)),
      identity_(identity),
      express_(express),
      impl_(std::make_unique<Impl>(express ? pci::kExpressConfigBytes : pci::kConfigBytes)) {
  const MutexLock lock(impl_->mutex);
  DefineHeader(identity, &impl_->config);
  if (identity.bridge) {
    DefineBridge(&impl_->config);
  } else {
    impl_->config.Define(pci::kSubsystemVendorId, 2, identity.subsystem_vendor_id, 0);
    impl_->config.Define(pci::kSubsystemId, 2, identity.subsystem_id, 0);
  }
  if (identity.interrupt_pin != 0) {
    impl_->config.Put(pci::kStatus, 2, 0, pci::kStatusInterrupt);
  }
}

PciFunction::~PciFunction() {
  if (PciBus* const bus = impl_->bus) {
    bus->Detach(*this);
  }
}

Result<uint8_t> PciFunction::AddCapability(uint8_t id, std::span<const uint8_t> body,
                                           std::span<const uint8_t> writable, uint8_t at) {
  const MutexLock lock(impl_->mutex);
  const uint8_t offset = TRY(impl_->config.AddCapability(id, body, writable, at));
  if (id == pci::kCapExpress &&
      (impl_->config.Read(static_cast<uint16_t>(offset + pci::kExpressDeviceCaps), 4) &
       pci::kDeviceCapsFlr) != 0) {
    impl_->flr_control = static_cast<uint16_t>(offset + pci::kExpressDeviceControl);
  }
  return offset;
}

Result<uint16_t> PciFunction::AddExtendedCapability(uint16_t id, uint8_t version,
                                                    std::span<const uint8_t> body,
                                                    std::span<const uint8_t> writable) {
  const MutexLock lock(impl_->mutex);
  return impl_->config.AddExtendedCapability(id, version, body, writable);
}

Result<> PciFunction::EnableMsix(unsigned vectors, unsigned bar, MsiAllocator& allocator) {
  std::shared_ptr<MsixTable> table =
      TRY(Prefix(MsixTable::Create(name_ + " msix", vectors, allocator), name_));
  TRY(AddBar(bar, BarKind::kMemory32, Region::Io(table, table->bar_bytes())));
  const uint32_t size_field = vectors - 1;
  const uint32_t pending = table->pending_offset() | bar;
  const std::array<uint8_t, 10> body = {static_cast<uint8_t>(size_field),
                                        static_cast<uint8_t>(size_field >> 8),
                                        static_cast<uint8_t>(bar),
                                        0,
                                        0,
                                        0,
                                        static_cast<uint8_t>(pending),
                                        static_cast<uint8_t>(pending >> 8),
                                        static_cast<uint8_t>(pending >> 16),
                                        static_cast<uint8_t>(pending >> 24)};
  constexpr std::array<uint8_t, 10> kWritable = {0, (pci::kMsixControlEnable | pci::kMsixControlMask) >> 8};
  const uint8_t offset = TRY(AddCapability(pci::kCapMsix, body, kWritable));
  impl_->msix_control = static_cast<uint16_t>(offset + pci::kMsixControl);
  impl_->msix = std::move(table);
  return {};
}

void PciFunction::SetInitial(uint16_t reg, unsigned size, uint32_t value, uint32_t writable) {
  const MutexLock lock(impl_->mutex);
  impl_->config.Define(reg, size, value, writable);
}

void PciFunction::SetConfigHook(std::function<ExitDone(uint16_t, unsigned)> hook) {
  impl_->hook = std::move(hook);
}

void PciFunction::SetResetHook(std::function<ExitDone()> hook) { impl_->reset_hook = std::move(hook); }

void PciFunction::SetConfigWindow(uint16_t reg, uint16_t bytes,
                                  std::function<uint32_t(uint16_t, unsigned)> read,
                                  std::function<ExitDone(uint16_t, unsigned, uint32_t)> write) {
  impl_->windows.push_back(Impl::Window{reg, bytes, std::move(read), std::move(write)});
}

uint32_t PciFunction::ReadConfig(uint16_t reg, unsigned size) {
  const uint32_t ones = size >= 4 ? ~0U : (1U << (8 * size)) - 1;
  if (const Impl::Window* const window = impl_->FindWindow(reg, size)) {
    return window->read(static_cast<uint16_t>(reg - window->reg), size) & ones;
  }
  const MutexLock lock(impl_->mutex);
  if (!impl_->config.Holds(reg, size)) {
    impl_->ignored.Add();
    return ones;
  }
  return impl_->config.Read(reg, size);
}

ExitDone PciFunction::WriteConfig(uint16_t reg, unsigned size, uint32_t value) {
  if (const Impl::Window* const window = impl_->FindWindow(reg, size)) {
    return window->write(static_cast<uint16_t>(reg - window->reg), size, value);
  }
  bool changed = false;
  bool function_reset = false;
  bool bus_reset = false;
  {
    const MutexLock lock(impl_->mutex);
    ConfigSpace& config = impl_->config;
    if (!config.Holds(reg, size)) {
      impl_->ignored.Add();
      return ExitDone::Done();
    }
    const bool in_reset =
        identity_.bridge && (config.Read(pci::kBridgeControl, 2) & pci::kBridgeSecondaryReset) != 0;
    changed = config.Write(reg, size, value);
    bus_reset = identity_.bridge && !in_reset &&
                (config.Read(pci::kBridgeControl, 2) & pci::kBridgeSecondaryReset) != 0;
    // PCI Express Base 5.0, 6.6.2: the bit reads as 0 and starts a reset when written 1.
    const unsigned high = static_cast<unsigned>(impl_->flr_control) + 1;
    function_reset = impl_->flr_control != 0 && reg <= high && high < reg + size &&
                     (value >> (8 * (high - reg)) & (pci::kDeviceControlFlr >> 8)) != 0;
    impl_->Apply(*this);
  }
  if (function_reset) {
    return ResetByGuest();
  }
  PciBus* const bus = impl_->bus;
  if (changed && bus != nullptr) {
    // A bridge's windows lie where other functions have BARs 3 to 5 and beyond.
    const auto bar_bytes =
        static_cast<uint16_t>(identity_.bridge ? pci::kIoLimitUpper + 2 - pci::kBar0 : 4 * pci::kBars);
    if (Overlaps(reg, size, pci::kCommand, 2) || Overlaps(reg, size, pci::kBar0, bar_bytes) ||
        (!identity_.bridge && Overlaps(reg, size, pci::kRomAddress, 4))) {
      bus->UpdateMappings(*this);
    }
  }
  std::vector<std::shared_ptr<ParkedExit>> tokens;
  const auto collect = [&tokens](const ExitDone& done) {
    if (done.token() != nullptr) {
      tokens.push_back(done.token());
    }
  };
  if (PciBus* const below = impl_->secondary; bus_reset && below != nullptr) {
    collect(below->ResetByGuest());
  }
  if (changed && impl_->hook) {
    collect(impl_->hook(reg, size));
  }
  return ParkForAll(std::move(tokens));
}

void PciFunction::Impl::Apply(PciFunction& self) {
  self.dma_.SetEnabled((config.Read(pci::kCommand, 2) & pci::kCommandMaster) != 0);
  if (msix) {
    const uint32_t control = config.Read(msix_control, 2);
    msix->SetControl((control & pci::kMsixControlEnable) != 0, (control & pci::kMsixControlMask) != 0);
  }
  ProgramMsi();
  DriveIntx(self);
}

void PciFunction::Impl::DriveIntx(PciFunction& self) {
  const bool disabled = (config.Read(pci::kCommand, 2) & pci::kCommandIntxDisable) != 0;
  const bool driven = intx_level && !disabled;
  PciBus* const on = bus;
  if (driven != intx_driven && on != nullptr) {
    intx_driven = driven;
    on->SetIntx(self.devfn_, self.identity_.interrupt_pin - 1U, driven);
  }
}

void PciFunction::SetIntx(bool level) {
  if (identity_.interrupt_pin == 0) {
    return;
  }
  const MutexLock lock(impl_->mutex);
  impl_->intx_level = level;
  // PCI 3.0, 6.2.3: the status bit shows the device's request whatever Interrupt Disable says.
  impl_->config.Put(pci::kStatus, 2, level ? pci::kStatusInterrupt : 0, pci::kStatusInterrupt);
  impl_->DriveIntx(*this);
}

void PciFunction::Reset() {
  {
    const MutexLock lock(impl_->mutex);
    impl_->config.Reset();
    impl_->intx_level = false;
    if (impl_->msix) {
      impl_->msix->Reset();
    }
    impl_->Apply(*this);
  }
  if (PciBus* const bus = impl_->bus) {
    bus->UpdateMappings(*this);
  }
}

ExitDone PciFunction::ResetByGuest() {
  Reset();
  return RunResetHook();
}

ExitDone PciFunction::RunResetHook() { return impl_->reset_hook ? impl_->reset_hook() : ExitDone::Done(); }

uint8_t PciFunction::FindCapability(uint8_t id) const {
  const MutexLock lock(impl_->mutex);
  return impl_->config.FindCapability(id);
}

PciBus* PciFunction::bus() const { return impl_->bus; }

PciBus* PciFunction::secondary_bus() const { return impl_->secondary; }

void PciFunction::SetSecondary(PciBus* bus) { impl_->secondary = bus; }

bool PciFunction::msix_enabled() const { return impl_->msix && impl_->msix->enabled(); }

unsigned PciFunction::msix_vectors() const { return impl_->msix ? impl_->msix->vectors() : 0; }

void PciFunction::NotifyMsix(unsigned vector) {
  if (impl_->msix) {
    impl_->msix->Notify(vector);
  } else {
    impl_->ignored.Add();
  }
}

int PciFunction::MsixFd(unsigned vector) const { return impl_->msix ? impl_->msix->DirectFd(vector) : -1; }

void PciFunction::SetMsixMaskWatcher(std::function<void()> watcher) {
  if (impl_->msix) {
    impl_->msix->SetMaskWatcher(std::move(watcher));
  }
}

bool PciFunction::bus_master() const {
  const MutexLock lock(impl_->mutex);
  return (impl_->config.Read(pci::kCommand, 2) & pci::kCommandMaster) != 0;
}

void PciFunction::SetStatusBits(uint16_t reg, unsigned size, uint32_t value, uint32_t mask) {
  const MutexLock lock(impl_->mutex);
  impl_->config.Put(reg, size, value, mask);
}

void PciFunction::SetWritable(uint16_t reg, unsigned size, uint32_t writable) {
  const MutexLock lock(impl_->mutex);
  impl_->config.DefineWritable(reg, size, writable);
}

const Counter& PciFunction::ignored() const { return impl_->ignored; }

std::string PciFunction::StateName() const {
  return Format("{:02x}.{}", pci::Slot(devfn_), pci::Function(devfn_));
}

}  // namespace nandu
