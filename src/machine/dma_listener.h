// Keeps what PCI functions may reach in step with guest memory: RAM that comes, goes or moves reaches every
// function's DmaSpace. A commit that leaves RAM as it is (BARs move all the time) costs the data path
// nothing.
#pragma once

#include <algorithm>

#include "devices/pci/pci_bus.h"
#include "memory/flat_view.h"

namespace nandu {

class DmaListener final : public FlatViewListener {
 public:
  explicit DmaListener(PciBus& root) : root_(root) {}
  void Commit(const FlatView* from, const FlatView& to) override {
    if (from == nullptr || !SameRam(*from->memory(), *to.memory())) {
      root_.SetMemory(to.memory());
    }
  }

 private:
  static bool SameRam(const GuestMemory& a, const GuestMemory& b) {
    return std::ranges::equal(a.ranges(), b.ranges(), [](const RamRange& x, const RamRange& y) {
      return x.base == y.base && x.size == y.size && x.block == y.block && x.block_offset == y.block_offset &&
             x.readonly == y.readonly;
    });
  }
  PciBus& root_;
};

}  // namespace nandu
