// The inside of PciBus, shared by the files that implement it and nobody else.
#pragma once

#include <atomic>
#include <map>
#include <utility>

#include "devices/pci/pci_bus.h"

namespace nandu {

struct PciBus::Impl {
  explicit Impl(Options o) : options(std::move(o)) {}

  const Options options;
  // Read without a lock by exits of any vCPU; written by Attach and Detach on the control thread. Who
  // destroys a function waits until no exit that found it is running any more.
  std::array<std::atomic<PciFunction*>, 256> functions{};
  std::vector<PciBus*> children;                                       // control thread
  std::map<std::pair<uint8_t, uint16_t>, std::string> physical_slots;  // root: control thread

  Mutex memory_mutex;
  std::shared_ptr<const GuestMemory> memory
      NANDU_TA(guarded_by(memory_mutex));  // root: what every DmaSpace shows

  Mutex line_mutex;
  std::array<unsigned, kRootLines> asserted
      NANDU_TA(guarded_by(line_mutex)){};  // root: how many functions pull each line

  PciFunction* At(unsigned devfn) const { return functions[devfn].load(std::memory_order_acquire); }
};

}  // namespace nandu
