// A PCI bus: functions by devfn, configuration access by bus number through bridges, INTx swizzling, and which BARs the bridges above let
// through. Attach and Detach: control thread. Configuration accesses: any vCPU thread.
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
    std::string id;                          // "pcie.0", "pci.1": what bus= names
    PciAddressSpaces spaces;
    PciFunction* bridge = nullptr;           // the bridge this bus is behind; null for the root
    PciBus* parent = nullptr;
    bool express = true;
    unsigned first_slot = 0;                 // a PCIe port's secondary bus takes devices at slot 0 only: [0, 1)
    unsigned slots = 32;
    std::function<void(unsigned pin, bool level)> root_intx;  // root only: pin 0..3 after swizzling by slot
  };
  explicit PciBus(Options options);
  ~PciBus();
  PciBus(const PciBus&) = delete;
  PciBus& operator=(const PciBus&) = delete;

  // devfn -1: the lowest free slot's function 0, as QEMU assigns. Fails when taken or out of range, with a sentence.
  Result<uint8_t> Attach(PciFunction& function, int devfn);
  void Detach(PciFunction& function);
  PciFunction* FindFunction(uint8_t devfn) const;
  const std::vector<PciBus*>& children() const;
  const std::string& id() const;
  bool express() const;
  PciBus* parent() const;
  PciFunction* bridge() const;

  // Configuration access as the root complex sees it: all ones for absent functions.
  uint32_t ReadConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size);
  ExitDone WriteConfig(uint8_t bus, uint8_t devfn, uint16_t reg, unsigned size, uint32_t value);

  void ForEachFunction(const std::function<void(PciBus&, PciFunction&)>& visit);  // depth first, by devfn
  void Reset();                    // every function on it and below
  void SetMemory(std::shared_ptr<const GuestMemory> memory);  // to every DmaSpace, now and for later Attach
  std::string StatePath() const;   // "/machine/pcie.0/01.0": slots along the bridge path, since guests renumber buses

 private:
  friend class PciFunction;
  void SetIntx(uint8_t devfn, unsigned pin, bool level);
  void UpdateMappings();           // after a bridge window, a command register or a BAR changed
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
