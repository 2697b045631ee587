// The inside of PciFunction, shared by the files that implement it and nobody else.
#pragma once

#include <atomic>
#include <optional>

#include "devices/pci/config_space.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci_function.h"

namespace nandu {

struct PciFunction::Impl {
  explicit Impl(uint16_t config_bytes) : config(config_bytes) {}

  struct Bar {
    BarKind kind = BarKind::kMemory32;
    std::optional<Region> region;  // none: no such BAR
    Mapping mapping;               // while attached; changed within a transaction only
  };
  struct Window {
    uint16_t reg = 0;
    uint16_t bytes = 0;
    std::function<uint32_t(uint16_t, unsigned)> read;
    std::function<ExitDone(uint16_t, unsigned, uint32_t)> write;
  };
  void Apply(PciFunction& self)
      NANDU_TA(requires_capability(mutex));  // DMA, MSI, MSI-X and INTx follow the registers
  void DriveIntx(PciFunction& self) NANDU_TA(requires_capability(mutex));
  bool MsiEnabled() const NANDU_TA(requires_capability(mutex));
  void ProgramMsi() NANDU_TA(requires_capability(mutex));
  const Window* FindWindow(uint16_t reg, unsigned size) const;

  // Taken after the commit lock of the address spaces, never before it.
  mutable Mutex mutex;
  ConfigSpace config NANDU_TA(guarded_by(mutex));
  bool intx_level NANDU_TA(guarded_by(mutex)) = false;   // the device's
  bool intx_driven NANDU_TA(guarded_by(mutex)) = false;  // what the bus was told

  std::optional<MsiMessage> msi_programmed NANDU_TA(guarded_by(mutex));  // what the vector was told last

  // Built before Attach and left alone after.
  std::array<Bar, kRomBar + 1> bars;  // the last one is the expansion ROM
  std::shared_ptr<MsixTable> msix;
  uint16_t msix_control = 0;  // offset of Message Control
  std::unique_ptr<MsiVector> msi;
  uint16_t msi_capability = 0;  // its offset
  uint16_t flr_control = 0;     // offset of Device Control when it offers function-level reset
  std::vector<Window> windows;
  std::function<ExitDone(uint16_t, unsigned)> hook;
  std::function<ExitDone()> reset_hook;

  std::atomic<PciBus*> bus{nullptr};
  std::atomic<PciBus*> secondary{nullptr};
  Counter ignored;
};

// How a BAR register holds its address.
struct BarLayout {
  uint16_t reg = 0;
  bool io = false;
  bool wide = false;  // 64-bit
  bool rom = false;   // bit 0 of the register enables it
};
BarLayout LayoutOf(unsigned index, BarKind kind);
uint64_t BarAddress(const ConfigSpace& config, const BarLayout& layout, uint64_t size);

}  // namespace nandu
