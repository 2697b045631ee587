#include "devices/pci/pci_setup.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

enum Kind : unsigned { kIo, kMemory, kPrefetchable, kKinds };

constexpr uint64_t kIoGranularity = 0x1000;
constexpr uint64_t kMemoryGranularity = 0x100000;

constexpr uint64_t GranularityOf(Kind kind) { return kind == kIo ? kIoGranularity : kMemoryGranularity; }

struct BusPlan;

// Something that needs addresses: a BAR, or a bridge's window for everything below it.
struct Need {
  uint64_t size = 0;
  uint64_t align = 1;
  PciFunction* function = nullptr;
  unsigned bar = 0;
  bool wide = false;         // a 64-bit BAR
  BusPlan* below = nullptr;  // not null: a window
};

struct BusPlan {
  std::array<std::vector<Need>, kKinds> needs;
  std::vector<std::unique_ptr<BusPlan>> below;
};

Kind KindOf(BarKind kind) {
  switch (kind) {
    case BarKind::kIo: return kIo;
    case BarKind::kMemory64Prefetchable: return kPrefetchable;
    case BarKind::kMemory32:
    case BarKind::kRom:
    case BarKind::kMemory64: return kMemory;
  }
  return kMemory;
}

// Nothing guest-driven reaches these: the vCPUs are stopped and no I/O is in flight, so no write parks.
void Write(PciFunction& function, uint16_t reg, unsigned size, uint64_t value) {
  (void)function.WriteConfig(reg, size, static_cast<uint32_t>(value));
}

Result<> NumberBuses(PciBus& bus, unsigned* last) {
  const unsigned primary = *last;
  for (unsigned devfn = 0; devfn < 256; devfn++) {
    PciFunction* const function = bus.FindFunction(static_cast<uint8_t>(devfn));
    PciBus* const below = function == nullptr ? nullptr : function->secondary_bus();
    if (below == nullptr) {
      continue;
    }
    if (*last == 0xff) {
      return Fail(Errc::kNoMemory, "more than 255 PCI buses: there is no number for {}", below->id());
    }
    const unsigned secondary = ++*last;
    TRY(NumberBuses(*below, last));
    Write(*function, pci::kPrimaryBus, 1, primary);
    Write(*function, pci::kSecondaryBus, 1, secondary);
    Write(*function, pci::kSubordinateBus, 1, *last);
  }
  return {};
}

// Where each need lands from `base` on, and where the last one ends. Sorted larger first, so powers of two
// leave no holes.
uint64_t EndOf(const std::vector<Need>& needs, uint64_t base) {
  for (const Need& need : needs) {
    base = AlignUp(base, need.align) + need.size;
  }
  return base;
}

uint64_t AlignOf(const std::vector<Need>& needs, uint64_t least) {
  for (const Need& need : needs) {
    least = std::max(least, need.align);
  }
  return least;
}

std::unique_ptr<BusPlan> PlanBus(PciBus& bus) {
  auto plan = std::make_unique<BusPlan>();
  for (unsigned devfn = 0; devfn < 256; devfn++) {
    PciFunction* const function = bus.FindFunction(static_cast<uint8_t>(devfn));
    if (function == nullptr) {
      continue;
    }
    for (const PciBarInfo& bar : function->Bars()) {
      const bool wide = bar.kind == BarKind::kMemory64 || bar.kind == BarKind::kMemory64Prefetchable;
      plan->needs[KindOf(bar.kind)].push_back(
          Need{bar.size_bytes, bar.size_bytes, function, bar.index, wide, nullptr});
    }
    if (PciBus* const secondary = function->secondary_bus()) {
      plan->below.push_back(PlanBus(*secondary));
      for (const Kind kind : {kIo, kMemory, kPrefetchable}) {
        const std::vector<Need>& needs = plan->below.back()->needs[kind];
        const uint64_t size = AlignUp(EndOf(needs, 0), GranularityOf(kind));
        const uint64_t align = size == 0 ? 1 : AlignOf(needs, GranularityOf(kind));
        plan->needs[kind].push_back(Need{size, align, function, 0, false, plan->below.back().get()});
      }
    }
  }
  for (std::vector<Need>& needs : plan->needs) {
    std::stable_sort(needs.begin(), needs.end(), [](const Need& a, const Need& b) {
      return a.align != b.align ? a.align > b.align : a.size > b.size;
    });
  }
  return plan;
}

// An empty window is a closed one: its limit lies below its base.
void WriteWindow(PciFunction& bridge, Kind kind, uint64_t base, uint64_t size) {
  const uint64_t last = base + size - 1;
  const bool open = size != 0;
  switch (kind) {
    case kIo:
      Write(bridge, pci::kIoBase, 1, open ? base >> 8 : 0xf0);
      Write(bridge, pci::kIoLimit, 1, open ? last >> 8 : 0);
      return;
    case kMemory:
      Write(bridge, pci::kMemoryBase, 2, open ? base >> 16 : 0xfff0);
      Write(bridge, pci::kMemoryLimit, 2, open ? last >> 16 : 0);
      return;
    default:
      Write(bridge, pci::kPrefetchBase, 2, open ? base >> 16 : 0xfff0);
      Write(bridge, pci::kPrefetchLimit, 2, open ? last >> 16 : 0);
      Write(bridge, pci::kPrefetchBaseUpper, 4, open ? base >> 32 : 0);
      Write(bridge, pci::kPrefetchLimitUpper, 4, open ? last >> 32 : 0);
  }
}

void Place(const BusPlan& plan, Kind kind, uint64_t base) {
  for (const Need& need : plan.needs[kind]) {
    base = AlignUp(base, need.align);
    if (need.below != nullptr) {
      WriteWindow(*need.function, kind, base, need.size);
      Place(*need.below, kind, base);
    } else {
      // An expansion ROM gets its place and stays disabled: whoever wants to read it enables it.
      const auto reg =
          need.bar == kRomBar ? pci::kRomAddress : static_cast<uint16_t>(pci::kBar0 + 4 * need.bar);
      Write(*need.function, reg, 4, base);
      if (need.wide) {
        Write(*need.function, static_cast<uint16_t>(reg + 4), 4, base >> 32);
      }
    }
    base += need.size;
  }
}

Result<> PlaceIn(const PciAddressRange& range, const BusPlan& plan, Kind kind, std::string_view what) {
  const uint64_t needed = EndOf(plan.needs[kind], range.base) - range.base;
  if (needed != 0 && needed > range.end - std::min(range.base, range.end)) {
    return Fail(
        Errc::kNoMemory,
        "the {} of {:#x} bytes at {:#x} is too small: the devices need {:#x} bytes; use fewer of them", what,
        range.end - std::min(range.base, range.end), range.base, needed);
  }
  Place(plan, kind, range.base);
  return {};
}

void FinishFunction(PciBus& bus, PciFunction& function, const PciSetupOptions& options) {
  if (const unsigned pin = function.identity().interrupt_pin; pin != 0) {
    Write(function, pci::kInterruptLine, 1, options.irq_of_line.at(bus.RootLine(function.devfn(), pin - 1)));
  }
  // As SeaBIOS leaves every function, those without BARs too: guests find the command registers they know.
  const bool bridge = function.secondary_bus() != nullptr;
  const uint32_t command = function.ReadConfig(pci::kCommand, 2);
  const unsigned enable =
      pci::kCommandIo | pci::kCommandMemory | pci::kCommandSerr | (bridge ? pci::kCommandMaster : 0U);
  Write(function, pci::kCommand, 2, command | enable);
}

}  // namespace

Result<> SetUpPci(PciBus& root, const PciSetupOptions& options) {
  const AddressSpace::Transaction transaction;  // one commit for all of it
  unsigned last = 0;
  TRY(NumberBuses(root, &last));
  const std::unique_ptr<BusPlan> plan = PlanBus(root);
  TRY(PlaceIn(options.io, *plan, kIo, "PCI I/O port window"));
  TRY(PlaceIn(options.memory32, *plan, kMemory, "32-bit PCI window"));
  const uint64_t rest = EndOf(plan->needs[kMemory], options.memory32.base);
  if (EndOf(plan->needs[kPrefetchable], rest) <= options.memory32.end) {
    Place(*plan, kPrefetchable, rest);
  } else {
    TRY(PlaceIn(options.memory64, *plan, kPrefetchable, "64-bit PCI window"));
  }
  root.ForEachFunction(
      [&options](PciBus& bus, PciFunction& function) { FinishFunction(bus, function, options); });
  return {};
}

}  // namespace nandu
