// A PCI bus: functions by devfn, configuration access by bus number through bridges, INTx swizzling, and
// which BARs the bridges above let through. Attach and Detach: control thread. Configuration accesses: any
// vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nandu/exit.h>
#include <nandu/irq.h>

#include "base/result.h"
#include "devices/pci/pci_function.h"
#include "memory/address_space.h"

namespace nandu {

struct PciAddressSpaces {
  AddressSpace* memory = nullptr;
  AddressSpace* io = nullptr;
};

class PciBus {
 public:
  struct Options {
    std::string id;  // "pcie.0", "pci.1": what bus= names
    PciAddressSpaces spaces;
    PciFunction* bridge = nullptr;  // the bridge this bus is behind; null for the root
    PciBus* parent = nullptr;
    bool express = true;
    unsigned first_slot = 0;  // a PCIe port's secondary bus takes devices at slot 0 only: [0, 1)
    unsigned slots = 32;
    std::function<void(unsigned pin, bool level)>
        root_intx;  // root only: pin 0..3 after swizzling by slot; a leaf call
    // Root only: which of root_intx's lines (0..kRootLines-1) a pin of a root slot drives; none: (slot + pin)
    // % 4.
    std::function<unsigned(uint8_t devfn, unsigned pin)> root_line;
    std::function<void()> on_population;  // a function was attached or detached; control thread
  };
  static constexpr unsigned kRootLines = 8;

  explicit PciBus(Options options);
  ~PciBus();
  PciBus(const PciBus&) = delete;
  PciBus& operator=(const PciBus&) = delete;

  // devfn -1: the lowest free slot's function 0, as QEMU assigns. Fails when taken or out of range, with a
  // sentence.
  Result<uint8_t> Attach(PciFunction& function, int devfn);
  void Detach(PciFunction& function);
  PciFunction* FindFunction(uint8_t devfn) const;
  const std::vector<PciBus*>& children() const;
  const std::string& id() const;
  bool express() const;
  PciBus* parent() const;
  const PciAddressSpaces& spaces() const;
  bool occupied() const;  // a function is on it
  PciFunction* bridge() const;

  // Configuration access as the root complex sees it: all ones for absent functions.
  uint32_t ReadConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size);
  ExitDone WriteConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size, uint32_t value);

  void ForEachFunction(const std::function<void(PciBus&, PciFunction&)>& visit);  // depth first, by devfn
  void Reset();                                               // every function on it and below
  void SetMemory(std::shared_ptr<const GuestMemory> memory);  // to every DmaSpace, now and for later Attach
  unsigned RootLine(uint8_t devfn,
                    unsigned pin) const;  // where INTx of a function on this bus arrives, 0..kRootLines-1
  // Physical slot numbers are unique within a chassis (PCI Express Base 5.0, 7.5.3.9); root bus only.
  Result<> ClaimPhysicalSlot(uint8_t chassis, uint16_t slot, const std::string& owner);
  void ReleasePhysicalSlot(uint8_t chassis, uint16_t slot);
  std::string StatePath()
      const;  // "/machine/pcie.0/01.0": slots along the bridge path, since guests renumber buses

 private:
  friend class PciFunction;
  void SetIntx(uint8_t devfn, unsigned pin, bool level);
  void UpdateMappings();  // everything on it and below
  void UpdateMappings(
      PciFunction& function);  // after its command register, a BAR or (bridges) a window changed
  ExitDone ResetByGuest();     // secondary bus reset
  PciBus& Root();
  PciBus* FindNumber(uint8_t number);
  std::vector<PciForwarding> PathWindows() const;
  void UpdateBelow(std::vector<PciForwarding>* path);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
