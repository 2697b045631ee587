#include "devices/pci/pci_bus.h"

#include <algorithm>

#include "base/check.h"
#include "devices/pci/pci_bus_impl.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

// Rules of PCI 3.0, section 3.2.2.3.4: functions 1 to 7 are looked for only where function 0 says it is one
// of several.
Result<> CheckMultifunction(const PciBus& bus, const PciFunction& function, uint8_t devfn) {
  const unsigned slot = pci::Slot(devfn);
  if (pci::Function(devfn) != 0) {
    const PciFunction* const first = bus.FindFunction(pci::DevFn(slot, 0));
    if (first != nullptr && !first->identity().multifunction) {
      return Fail(Errc::kInvalidArgument,
                  "slot {} function {} of {} cannot be used: {} in function 0 has multifunction=off; set "
                  "multifunction=on "
                  "there",
                  slot, pci::Function(devfn), bus.id(), first->name());
    }
    return {};
  }
  for (unsigned other = 1; other < 8 && !function.identity().multifunction; other++) {
    if (const PciFunction* const taken = bus.FindFunction(pci::DevFn(slot, other))) {
      return Fail(
          Errc::kInvalidArgument,
          "slot {} of {} has {} in function {}: set multifunction=on for {}, which becomes function 0", slot,
          bus.id(), taken->name(), other, function.name());
    }
  }
  return {};
}

}  // namespace

PciBus::PciBus(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  NANDU_CHECK((impl_->options.parent == nullptr) == (impl_->options.bridge == nullptr),
              "a bus is the root or behind a bridge of its parent");
  if (impl_->options.parent != nullptr) {
    impl_->options.parent->impl_->children.push_back(this);
    impl_->options.bridge->SetSecondary(this);
  }
}

PciBus::~PciBus() {
  for (std::atomic<PciFunction*>& slot : impl_->functions) {
    if (PciFunction* const function = slot) {
      Detach(*function);
    }
  }
  if (impl_->options.parent != nullptr) {
    std::erase(impl_->options.parent->impl_->children, this);
    impl_->options.bridge->SetSecondary(nullptr);
  }
}

Result<uint8_t> PciBus::Attach(PciFunction& function, int devfn) {
  const Options& options = impl_->options;
  if (devfn < 0) {
    unsigned slot = options.first_slot;
    while (slot < options.slots && FindFunction(pci::DevFn(slot, 0)) != nullptr) {
      slot++;
    }
    if (slot >= options.slots) {
      return Fail(Errc::kNoMemory,
                  "no slot of {} is free for {}; add a pcie-root-port and put it there with bus=", options.id,
                  function.name());
    }
    devfn = pci::DevFn(slot, 0);
  }
  if (devfn > 0xff || static_cast<unsigned>(devfn >> 3) < options.first_slot ||
      static_cast<unsigned>(devfn >> 3) >= options.slots) {
    return Fail(Errc::kInvalidArgument, "slot {} does not exist on {}, which has slots {} to {}", devfn >> 3,
                options.id, options.first_slot, options.slots - 1);
  }
  const auto at = static_cast<uint8_t>(devfn);
  if (const PciFunction* const taken = FindFunction(at)) {
    return Fail(Errc::kExists, "slot {} function {} of {} is taken by {}", pci::Slot(at), pci::Function(at),
                options.id, taken->name());
  }
  TRY(CheckMultifunction(*this, function, at));
  const AddressSpace::Transaction transaction;
  function.AttachTo(*this, at);
  impl_->functions[at] = &function;
  PciBus& root = Root();
  std::shared_ptr<const GuestMemory> memory;
  {
    const MutexLock lock(root.impl_->memory_mutex);
    memory = root.impl_->memory;
  }
  function.dma_.SetMemory(std::move(memory));
  UpdateMappings(function);
  if (options.on_population) {
    options.on_population();
  }
  return at;
}

void PciBus::Detach(PciFunction& function) {
  const AddressSpace::Transaction transaction;
  NANDU_CHECK(FindFunction(function.devfn()) == &function, "a function is detached from the bus it is on");
  impl_->functions[function.devfn()] = nullptr;
  function.DetachFromBus();
  if (impl_->options.on_population) {
    impl_->options.on_population();
  }
}

PciFunction* PciBus::FindFunction(uint8_t devfn) const { return impl_->At(devfn); }
const std::vector<PciBus*>& PciBus::children() const { return impl_->children; }
const std::string& PciBus::id() const { return impl_->options.id; }
bool PciBus::express() const { return impl_->options.express; }
PciBus* PciBus::parent() const { return impl_->options.parent; }
PciFunction* PciBus::bridge() const { return impl_->options.bridge; }
const PciAddressSpaces& PciBus::spaces() const { return impl_->options.spaces; }

bool PciBus::occupied() const {
  return std::any_of(impl_->functions.begin(), impl_->functions.end(),
                     [](const std::atomic<PciFunction*>& slot) { return slot.load() != nullptr; });
}

PciBus& PciBus::Root() {
  PciBus* bus = this;
  while (bus->parent() != nullptr) {
    bus = bus->parent();
  }
  return *bus;
}

void PciBus::ForEachFunction(const std::function<void(PciBus&, PciFunction&)>& visit) {
  for (unsigned devfn = 0; devfn < impl_->functions.size(); devfn++) {
    if (PciFunction* const function = impl_->At(devfn)) {
      visit(*this, *function);
      if (PciBus* const below = function->secondary_bus()) {
        below->ForEachFunction(visit);
      }
    }
  }
}

void PciBus::SetMemory(std::shared_ptr<const GuestMemory> memory) {
  {
    const MutexLock lock(impl_->memory_mutex);
    impl_->memory = memory;
  }
  ForEachFunction([&memory](PciBus&, PciFunction& function) { function.dma_.SetMemory(memory); });
}

Result<> PciBus::ClaimPhysicalSlot(uint8_t chassis, uint16_t slot, const std::string& owner) {
  const auto [at, added] = impl_->physical_slots.try_emplace({chassis, slot}, owner);
  if (!added) {
    return Fail(Errc::kExists,
                "chassis {} slot {} is taken by {}; give this port its own chassis= or slot=", chassis, slot,
                at->second);
  }
  return {};
}

void PciBus::ReleasePhysicalSlot(uint8_t chassis, uint16_t slot) {
  impl_->physical_slots.erase({chassis, slot});
}

std::string PciBus::StatePath() const {
  if (parent() == nullptr) {
    return "/machine/" + id();
  }
  return parent()->StatePath() + "/" + bridge()->StateName();
}

}  // namespace nandu
