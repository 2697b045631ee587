// A root bus without a machine: both address spaces, interrupts that remember, and configuration accesses as
// a guest makes them.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_regs.h"
#include "support/fake_irq.h"
#include "support/fake_memory.h"

namespace nandu {

struct FakePciBoard {
  AddressSpace memory{"memory", ~uint64_t{0}};
  AddressSpace io{"io", 65536};
  FakeMsiAllocator msi;
  std::array<FakeIrqLine, PciBus::kRootLines> lines;
  PciBus root{RootOptions()};

  PciBus::Options RootOptions() {
    PciBus::Options options;
    options.id = "pcie.0";
    options.spaces = {&memory, &io};
    options.root_intx = [this](unsigned line, bool level) { lines.at(line).Set(level); };
    return options;
  }
};

inline PciIdentity TestIdentity() {
  return PciIdentity{.vendor_id = 0x1af4,
                     .device_id = 0x1001,
                     .revision = 1,
                     .class_code = 0x010000,
                     .subsystem_vendor_id = 0x1af4,
                     .subsystem_id = 0x1100,
                     .interrupt_pin = 1};
}

inline PciIdentity TestBridgeIdentity() {
  return PciIdentity{
      .vendor_id = 0x1b36, .device_id = 0x000c, .class_code = 0x060400, .interrupt_pin = 1, .bridge = true};
}

// A bridge on `parent` and the bus behind it.
struct FakeBridge {
  FakeBridge(const std::string& id, PciBus& parent, int devfn, unsigned slots = 32)
      : function(id, TestBridgeIdentity(), true), bus(BusOptions(id, parent, slots)) {
    parent.Attach(function, devfn).value();
  }
  PciBus::Options BusOptions(const std::string& id, PciBus& parent, unsigned slots) {
    PciBus::Options options;
    options.id = id;
    options.spaces = parent.spaces();
    options.bridge = &function;
    options.parent = &parent;
    options.slots = slots;
    return options;
  }
  // As firmware numbers it and opens its windows: [base, last] of 32-bit memory and of I/O ports.
  void Number(unsigned primary, unsigned secondary, unsigned subordinate) {
    (void)function.WriteConfig(pci::kPrimaryBus, 4, primary | secondary << 8 | subordinate << 16);
  }
  void OpenMemory(uint32_t base, uint32_t last) {
    (void)function.WriteConfig(pci::kMemoryBase, 4, (base >> 16 & 0xfff0) | (last & 0xfff00000));
    (void)function.WriteConfig(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandIo | pci::kCommandMaster);
  }
  PciFunction function;
  PciBus bus;
};

}  // namespace nandu
