// One PCI function: configuration space, BARs, capabilities, INTx, MSI, MSI-X and its view of guest memory. A
// device *has* one; it does not inherit from it. PCI Local Bus 3.0 chapter 6, PCI Express Base 5.0 chapter 7.
//
// Built on the control thread, then attached to a bus. ReadConfig and WriteConfig: any vCPU thread, under the
// function's own leaf mutex.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nandu/exit.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "memory/address_space.h"
#include "memory/dma_space.h"
#include "state/state.h"

namespace nandu {

class PciBus;

struct PciIdentity {
  uint16_t vendor_id = 0;
  uint16_t device_id = 0;
  uint8_t revision = 0;
  uint32_t class_code = 0;  // 24 bits: base class, subclass, programming interface
  uint16_t subsystem_vendor_id = 0;
  uint16_t subsystem_id = 0;
  uint8_t interrupt_pin = 0;   // 0 none, 1 INTA# ... 4 INTD#
  bool bridge = false;         // header type 1
  bool multifunction = false;  // header type bit 7
};

enum class BarKind : uint8_t {
  kIo,
  kMemory32,
  kMemory32Prefetchable,
  kMemory64,
  kMemory64Prefetchable,
  kRom
};

// A BAR as it stands: PciSetup places it, `info pci` shows it.
struct PciBarInfo {
  unsigned index = 0;  // kRomBar: the expansion ROM
  BarKind kind = BarKind::kMemory32;
  uint64_t size_bytes = 0;
  uint64_t address = 0;  // what the register holds, decoded or not
};

constexpr unsigned kRomBar = 6;

// The addresses a bridge forwards to its secondary bus. `last` below `base`: none.
struct PciWindow {
  uint64_t base = 1;
  uint64_t last = 0;
  bool Contains(uint64_t at, uint64_t size) const {
    return base <= last && at >= base && at <= last && size - 1 <= last - at;
  }
};
struct PciForwarding {
  PciWindow io;
  PciWindow memory;
  PciWindow prefetchable;
};

class PciFunction {
 public:
  PciFunction(std::string name, const PciIdentity& identity, bool express);
  ~PciFunction();
  PciFunction(const PciFunction&) = delete;
  PciFunction& operator=(const PciFunction&) = delete;

  // ---- building, before Attach ----
  Result<> AddBar(unsigned index, BarKind kind, Region region);  // size: the region's, a power of two
  // The expansion ROM (6.2.5.2): `image` as read-only memory of `size` bytes, a power of two and at most the
  // block's, that a guest sees where the ROM register says while it is enabled there. Not on bridges.
  Result<> AddRom(std::shared_ptr<RamBlock> image, uint64_t size);
  // Adds a capability at `at`, or where there is room first as QEMU does (0), and returns its offset. `body`
  // follows the ID and next pointer; `writable` masks it, same length, empty = read-only.
  Result<uint8_t> AddCapability(uint8_t id, std::span<const uint8_t> body,
                                std::span<const uint8_t> writable = {}, uint8_t at = 0);
  Result<uint16_t> AddExtendedCapability(uint16_t id, uint8_t version, std::span<const uint8_t> body,
                                         std::span<const uint8_t> writable = {});
  // Adds the capability, the table at the start of BAR `bar` and the pending bits after it, as QEMU's
  // msix_init_exclusive_bar lays them out.
  Result<> EnableMsix(unsigned vectors, unsigned bar, MsiAllocator& allocator);
  // Adds the MSI capability at `at` (0: where there is room), with one vector and a 64-bit address, as QEMU's
  // functions have it.
  Result<> EnableMsi(uint8_t at, MsiAllocator& allocator);
  void SetInitial(uint16_t reg, unsigned size, uint32_t value,
                  uint32_t writable);  // reset value and write mask of other registers

  // Called after a guest's write changed configuration space, outside the lock, on the writing thread. May
  // park (Bus Master Enable 1 to 0, function-level reset).
  void SetConfigHook(std::function<ExitDone(uint16_t reg, unsigned size)> hook);
  // Called after a function-level reset, or a reset of the bus it is on, put configuration space back: the
  // device stops and resets itself, and parks the exit until its I/O in flight is over. Outside the lock, on
  // the writing thread.
  void SetResetHook(std::function<ExitDone()> hook);
  // Serves reads and writes of a range itself (virtio's VIRTIO_PCI_CAP_PCI_CFG window); `read`'s answer
  // replaces the stored bytes.
  void SetConfigWindow(uint16_t reg, uint16_t bytes, std::function<uint32_t(uint16_t, unsigned)> read,
                       std::function<ExitDone(uint16_t, unsigned, uint32_t)> write);

  // ---- the bus's ----
  uint32_t ReadConfig(uint16_t reg, unsigned size);
  ExitDone WriteConfig(uint16_t reg, unsigned size, uint32_t value);
  void
  Reset();  // back to the initial values; BARs unmapped, MSI-X masked, INTx low. The reset hook is not called
  ExitDone ResetByGuest();  // function-level or secondary bus reset: Reset, then the reset hook
  uint8_t FindCapability(uint8_t id) const;  // its offset, 0: none
  std::vector<PciBarInfo> Bars() const;
  PciForwarding Forwarding() const;  // bridges
  PciBus* secondary_bus() const;     // null: no bridge

  // ---- the device's ----
  DmaSpace& dma() { return dma_; }
  void SetIntx(bool level);   // the pin; honours Interrupt Disable and keeps the status bit
  bool msix_enabled() const;  // enabled in Message Control
  unsigned msix_vectors() const;
  void NotifyMsix(
      unsigned vector);  // any thread; masked sets the pending bit, out of range is ignored and counted
  int MsixFd(unsigned vector) const;                       // see MsixTable::DirectFd
  void SetMsixMaskWatcher(std::function<void()> watcher);  // after EnableMsix, before use
  bool msi_enabled() const;  // enabled in Message Control: the pin is not used then
  void NotifyMsi();          // any thread; ignored and counted while disabled, or no bus master
  bool bus_master() const;
  void SetStatusBits(uint16_t reg, unsigned size, uint32_t value,
                     uint32_t mask);  // registers the device changes itself (link status)
  void SetWritable(uint16_t reg, unsigned size, uint32_t writable);  // a lock bit took effect
  void SetBarEvents(unsigned index,
                    std::vector<IoEvent> events);  // control or vCPU thread, no leaf mutex held
  const Counter& ignored() const;                  // accesses out of configuration space
  const std::string& name() const { return name_; }
  const PciIdentity& identity() const { return identity_; }
  bool express() const { return express_; }
  uint8_t devfn() const { return devfn_; }
  PciBus* bus() const;            // null: on none
  std::string StateName() const;  // "02.0"

  void Save(const StateWriter& writer) const;
  Result<> Load(
      const StateReader& reader);  // validates, then rebuilds BAR mappings, MSI-X routes and the INTx level

 private:
  friend class PciBus;
  struct Impl;
  void SetSecondary(PciBus* bus);
  ExitDone RunResetHook();
  void AttachTo(PciBus& bus, uint8_t devfn);  // maps its BARs, disabled
  void DetachFromBus();
  void UpdateBars(std::span<const PciForwarding> path);  // within a transaction
  const std::string name_;
  const PciIdentity identity_;
  const bool express_;
  uint8_t devfn_ = 0;
  DmaSpace dma_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
