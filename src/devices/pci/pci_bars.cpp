// Base address registers of a PciFunction and the windows of a bridge: registers, decoding, mapping. PCI
// Local Bus 3.0, section 6.2.5; PCI-to-PCI Bridge 1.2, section 3.2.5.
#include "base/check.h"
#include "base/checked.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_function_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

// Below what a machine maps for itself (RAM, chip registers): a BAR moved over those does not hide them.
constexpr int kBarPriority = -1;
constexpr uint64_t kIoSpaceEnd = 0x10000;
constexpr uint64_t k4Gib = uint64_t{1} << 32;
constexpr uint64_t kMaxBar32Bytes = uint64_t{1} << 31;
constexpr uint64_t kMinIoBarBytes = 4;
constexpr uint64_t kMinMemoryBarBytes = 16;
constexpr uint64_t kMaxIoBarBytes = 0x8000;
constexpr uint64_t kMinRomBytes = 0x800;  // bits 10:1 of the register are reserved
constexpr uint64_t kMaxRomBytes = 16 << 20;

uint32_t TypeBits(BarKind kind) {
  switch (kind) {
    case BarKind::kIo: return pci::kBarIo;
    case BarKind::kMemory32:
    case BarKind::kRom: return 0;
    case BarKind::kMemory64: return pci::kBar64;
    case BarKind::kMemory64Prefetchable: return pci::kBar64 | pci::kBarPrefetchable;
  }
  return 0;
}

// Where a decoded BAR would not be an address but the middle of sizing it: nothing at 0, nothing that ends at
// the top.
bool IsPlace(const BarLayout& layout, uint64_t address, uint64_t size) {
  uint64_t end = 0;
  if (address == 0 || AddOverflows(address, size, &end)) {
    return false;
  }
  if (layout.io) {
    return end < kIoSpaceEnd;
  }
  return layout.wide || end < k4Gib;
}

bool Passes(std::span<const PciForwarding> path, bool io, uint64_t address, uint64_t size) {
  for (const PciForwarding& bridge : path) {
    const bool forwarded =
        io ? bridge.io.Contains(address, size)
           : bridge.memory.Contains(address, size) || bridge.prefetchable.Contains(address, size);
    if (!forwarded) {
      return false;
    }
  }
  return true;
}

PciForwarding ForwardingOf(const ConfigSpace& config) {
  const auto field = [&config](uint16_t reg, unsigned size, uint64_t mask) {
    return config.Read(reg, size) & mask;
  };
  const uint64_t command = field(pci::kCommand, 2, 0xffff);
  PciForwarding windows;
  if ((command & pci::kCommandIo) != 0) {
    // 16-bit I/O addresses: the upper halves are hardwired to zero.
    windows.io.base = field(pci::kIoBase, 1, 0xf0) << 8;
    windows.io.last = field(pci::kIoLimit, 1, 0xf0) << 8 | 0xfff;
  }
  if ((command & pci::kCommandMemory) != 0) {
    windows.memory.base = field(pci::kMemoryBase, 2, 0xfff0) << 16;
    windows.memory.last = field(pci::kMemoryLimit, 2, 0xfff0) << 16 | 0xfffff;
    windows.prefetchable.base =
        field(pci::kPrefetchBaseUpper, 4, ~0U) << 32 | field(pci::kPrefetchBase, 2, 0xfff0) << 16;
    windows.prefetchable.last =
        field(pci::kPrefetchLimitUpper, 4, ~0U) << 32 | field(pci::kPrefetchLimit, 2, 0xfff0) << 16 | 0xfffff;
  }
  return windows;
}

}  // namespace

BarLayout LayoutOf(unsigned index, BarKind kind) {
  BarLayout layout;
  layout.rom = kind == BarKind::kRom;
  layout.reg = layout.rom ? pci::kRomAddress : static_cast<uint16_t>(pci::kBar0 + 4 * index);
  layout.io = kind == BarKind::kIo;
  layout.wide = kind == BarKind::kMemory64 || kind == BarKind::kMemory64Prefetchable;
  return layout;
}

uint64_t BarAddress(const ConfigSpace& config, const BarLayout& layout, uint64_t size) {
  uint64_t value = config.Read(layout.reg, 4);
  if (layout.wide) {
    value |= static_cast<uint64_t>(config.Read(static_cast<uint16_t>(layout.reg + 4), 4)) << 32;
  }
  return AlignDown(value, size);
}

Result<> PciFunction::AddBar(unsigned index, BarKind kind, Region region) {
  const BarLayout layout = LayoutOf(index, kind);
  const unsigned registers = identity_.bridge ? pci::kBridgeBars : pci::kBars;
  const uint64_t size = region.size();
  const uint64_t least = layout.io ? kMinIoBarBytes : kMinMemoryBarBytes;
  const bool too_large =
      (layout.io && size > kMaxIoBarBytes) || (!layout.io && !layout.wide && size > kMaxBar32Bytes);
  if (layout.rom || index + (layout.wide ? 2U : 1U) > registers || !IsPowerOfTwo(size) || size < least ||
      too_large) {
    return Fail(Errc::kInvalidArgument, "{}: BAR {} of {} bytes is impossible", name_, index, size);
  }
  const bool taken = impl_->bars[index].region.has_value() ||
                     (layout.wide && impl_->bars[index + 1].region.has_value()) ||
                     (index > 0 && impl_->bars[index - 1].region.has_value() &&
                      LayoutOf(index - 1, impl_->bars[index - 1].kind).wide);
  if (taken) {
    return Fail(Errc::kExists, "{}: BAR {} is taken", name_, index);
  }
  const MutexLock lock(impl_->mutex);
  // Sizing (6.2.5.1): the bits below the size are not writable, so all ones read back as the size's
  // complement.
  const uint64_t writable = ~(size - 1);
  impl_->config.Define(layout.reg, 4, TypeBits(kind), static_cast<uint32_t>(writable));
  if (layout.wide) {
    impl_->config.Define(static_cast<uint16_t>(layout.reg + 4), 4, 0, static_cast<uint32_t>(writable >> 32));
  }
  impl_->bars[index].kind = kind;
  impl_->bars[index].region = std::move(region);
  return {};
}

Result<> PciFunction::AddRom(std::shared_ptr<RamBlock> image, uint64_t size) {
  if (identity_.bridge || !IsPowerOfTwo(size) || size < kMinRomBytes || size > kMaxRomBytes ||
      size > image->size()) {
    return Fail(Errc::kInvalidArgument, "{}: an expansion ROM of {} bytes is impossible", name_, size);
  }
  Impl::Bar& rom = impl_->bars[kRomBar];
  if (rom.region) {
    return Fail(Errc::kExists, "{}: there is an expansion ROM already", name_);
  }
  const MutexLock lock(impl_->mutex);
  impl_->config.Define(pci::kRomAddress, 4, 0, static_cast<uint32_t>(~(size - 1)) | pci::kRomEnable);
  rom.kind = BarKind::kRom;
  rom.region = Region::Rom(std::move(image), 0, size);
  return {};
}

std::vector<PciBarInfo> PciFunction::Bars() const {
  const MutexLock lock(impl_->mutex);
  std::vector<PciBarInfo> infos;
  for (unsigned i = 0; i < impl_->bars.size(); i++) {
    const Impl::Bar& bar = impl_->bars[i];
    if (bar.region) {
      const uint64_t size = bar.region->size();
      infos.push_back(PciBarInfo{i, bar.kind, size, BarAddress(impl_->config, LayoutOf(i, bar.kind), size)});
    }
  }
  return infos;
}

void PciFunction::SetBarEvents(unsigned index, std::vector<IoEvent> events) {
  const AddressSpace::Transaction transaction;
  Impl::Bar& bar = impl_->bars.at(index);
  NANDU_CHECK(bar.region.has_value(), "events belong to a BAR that exists");
  bar.region->set_events(events);
  if (bar.mapping) {
    bar.mapping.SetEvents(std::move(events));
  }
}

PciForwarding PciFunction::Forwarding() const {
  const MutexLock lock(impl_->mutex);
  return ForwardingOf(impl_->config);
}

void PciFunction::AttachTo(PciBus& bus, uint8_t devfn) {
  devfn_ = devfn;
  const PciAddressSpaces& spaces = bus.spaces();
  for (Impl::Bar& bar : impl_->bars) {
    AddressSpace* const space = bar.kind == BarKind::kIo ? spaces.io : spaces.memory;
    if (bar.region && space != nullptr) {
      Result<Mapping> mapping = space->Map(0, *bar.region, kBarPriority, false);
      NANDU_CHECK(mapping.has_value(), "a BAR is no larger than its address space");
      bar.mapping = std::move(mapping).value();
    }
  }
  impl_->bus = &bus;
  const MutexLock lock(impl_->mutex);
  impl_->DriveIntx(*this);
}

void PciFunction::DetachFromBus() {
  {
    const MutexLock lock(impl_->mutex);
    if (std::exchange(impl_->intx_driven, false)) {
      impl_->bus.load()->SetIntx(devfn_, identity_.interrupt_pin - 1U, false);
    }
    impl_->bus = nullptr;
  }
  for (Impl::Bar& bar : impl_->bars) {
    bar.mapping = Mapping();
  }
  dma_.SetMemory(nullptr);
}

void PciFunction::UpdateBars(std::span<const PciForwarding> path) {
  for (unsigned i = 0; i < impl_->bars.size(); i++) {
    Impl::Bar& bar = impl_->bars[i];
    if (!bar.mapping) {
      continue;
    }
    const BarLayout layout = LayoutOf(i, bar.kind);
    const uint64_t size = bar.region->size();
    uint64_t address = 0;
    bool decoded = false;
    {
      const MutexLock lock(impl_->mutex);
      const uint32_t command = impl_->config.Read(pci::kCommand, 2);
      decoded = (command & (layout.io ? pci::kCommandIo : pci::kCommandMemory)) != 0 &&
                (!layout.rom || (impl_->config.Read(layout.reg, 4) & pci::kRomEnable) != 0);
      address = BarAddress(impl_->config, layout, size);
    }
    const bool mapped = decoded && IsPlace(layout, address, size) && Passes(path, layout.io, address, size);
    bar.mapping.SetEnabled(mapped);
    if (mapped) {
      bar.mapping.Move(address);
    }
  }
}

}  // namespace nandu
