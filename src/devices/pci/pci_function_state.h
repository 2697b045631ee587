// What a PCI function saves: a section "pci" below its device's id.
#pragma once

#include <cstddef>
#include <vector>

#include "base/described.h"
#include "devices/pci/msix.h"

namespace nandu {

struct PciFunctionState {
  std::vector<std::byte> config;      // configuration space, as a guest reads it (windows aside)
  bool intx = false;                  // the device's request, before Interrupt Disable
  std::vector<MsixVectorState> msix;  // empty: no MSI-X
};
BOOST_DESCRIBE_STRUCT(PciFunctionState, (), (config, intx, msix))

}  // namespace nandu
