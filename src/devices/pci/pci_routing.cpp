// How accesses and interrupts find their way through a tree of buses: configuration cycles by bus number
// (PCI-to-PCI Bridge 1.2, section 3.1), INTx through swizzling (section 9.1), BARs through bridge windows
// (section 4).
#include "base/check.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_bus_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

constexpr uint32_t Ones(unsigned size) { return size >= 4 ? ~0U : (1U << (8 * size)) - 1; }

}  // namespace

// The bus that answers to `number`, following the bus numbers the guest gave the bridges; null when none
// does.
PciBus* PciBus::FindNumber(uint8_t number) {
  for (unsigned devfn = 0; devfn < impl_->functions.size(); devfn++) {
    PciFunction* const function = impl_->At(devfn);
    PciBus* const below = function == nullptr ? nullptr : function->secondary_bus();
    if (below == nullptr) {
      continue;
    }
    const uint32_t numbers = function->ReadConfig(pci::kPrimaryBus, 4);
    const unsigned secondary = numbers >> 8 & 0xff;
    const unsigned subordinate = numbers >> 16 & 0xff;
    if (secondary == 0 || number < secondary || number > subordinate) {
      continue;  // a bridge that has not been numbered forwards nothing
    }
    if (number == secondary) {
      return below;
    }
    if (PciBus* const found = below->FindNumber(number)) {
      return found;
    }
  }
  return nullptr;
}

uint32_t PciBus::ReadConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size) {
  PciBus* const target = bus == 0 ? this : FindNumber(bus);
  PciFunction* const function = target == nullptr ? nullptr : target->FindFunction(devfn);
  return function == nullptr ? Ones(size) : function->ReadConfig(reg, size);
}

ExitDone PciBus::WriteConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size, uint32_t value) {
  PciBus* const target = bus == 0 ? this : FindNumber(bus);
  PciFunction* const function = target == nullptr ? nullptr : target->FindFunction(devfn);
  return function == nullptr ? ExitDone::Done() : function->WriteConfig(reg, size, value);
}

unsigned PciBus::RootLine(uint8_t devfn, unsigned pin) const {
  const PciBus* bus = this;
  while (bus->parent() != nullptr) {
    pin = (pci::Slot(devfn) + pin) % 4;
    devfn = bus->bridge()->devfn();
    bus = bus->parent();
  }
  const Options& root = bus->impl_->options;
  return root.root_line ? root.root_line(devfn, pin) : (pci::Slot(devfn) + pin) % 4;
}

void PciBus::SetIntx(uint8_t devfn, unsigned pin, bool level) {
  const unsigned line = RootLine(devfn, pin);
  NANDU_CHECK(line < kRootLines, "a root line exists");
  PciBus& root = Root();
  // Held while the line is set, so that two functions that share it cannot set it in the wrong order.
  const MutexLock lock(root.impl_->line_mutex);
  unsigned& asserted = root.impl_->asserted[line];
  NANDU_CHECK(level || asserted > 0, "a function lowers only a line it raised");
  const bool before = asserted != 0;
  asserted += level ? 1U : ~0U;
  const bool after = asserted != 0;
  if (before != after && root.impl_->options.root_intx) {
    root.impl_->options.root_intx(line, after);
  }
}

std::vector<PciForwarding> PciBus::PathWindows() const {
  std::vector<PciForwarding> path;
  for (const PciBus* bus = this; bus->parent() != nullptr; bus = bus->parent()) {
    path.push_back(bus->bridge()->Forwarding());
  }
  return path;
}

void PciBus::UpdateBelow(std::vector<PciForwarding>* path) {
  for (unsigned devfn = 0; devfn < impl_->functions.size(); devfn++) {
    PciFunction* const function = impl_->At(devfn);
    if (function == nullptr) {
      continue;
    }
    function->UpdateBars(*path);
    if (PciBus* const below = function->secondary_bus()) {
      path->push_back(function->Forwarding());
      below->UpdateBelow(path);
      path->pop_back();
    }
  }
}

void PciBus::UpdateMappings() {
  const AddressSpace::Transaction transaction;
  std::vector<PciForwarding> path = PathWindows();
  UpdateBelow(&path);
}

void PciBus::UpdateMappings(PciFunction& function) {
  const AddressSpace::Transaction transaction;
  const std::vector<PciForwarding> path = PathWindows();
  function.UpdateBars(path);
  if (PciBus* const below = function.secondary_bus()) {
    below->UpdateMappings();
  }
}

void PciBus::Reset() {
  const AddressSpace::Transaction transaction;
  ForEachFunction([](PciBus&, PciFunction& function) { function.Reset(); });
}

ExitDone PciBus::ResetByGuest() {
  Reset();
  // The devices are asked with no lock held: they take their own.
  std::vector<std::shared_ptr<ParkedExit>> tokens;
  ForEachFunction([&tokens](PciBus&, PciFunction& function) {
    if (const ExitDone done = function.RunResetHook(); done.token() != nullptr) {
      tokens.push_back(done.token());
    }
  });
  return ParkForAll(std::move(tokens));
}

}  // namespace nandu
