// The two ways a vCPU reaches configuration space: the I/O ports CF8h and CFCh (PCI Local Bus 3.0,
// section 3.2.2.3.2) and the memory-mapped window (PCI Express Base 5.0, section 7.2.2). Any vCPU thread.
#pragma once

#include <atomic>
#include <cstdint>

#include <nandu/io_handler.h>

#include "base/counter.h"
#include "devices/pci/pci_bus.h"

namespace nandu {

// Ports CF8h..CFFh. Only whole double words are the address register; other widths there belong to nobody
// (CF9h is the reset control register, mapped above this).
class ConfigPorts final : public IoHandler {
 public:
  static constexpr uint64_t kBase = 0xcf8;
  static constexpr uint64_t kBytes = 8;
  explicit ConfigPorts(PciBus& root) : root_(root) {}
  std::string_view name() const override { return "pci-config-ports"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;
  uint32_t address() const { return address_.load(std::memory_order_relaxed); }
  void set_address(uint32_t address) { address_.store(address, std::memory_order_relaxed); }
  const Counter& ignored() const { return ignored_; }

 private:
  PciBus& root_;
  std::atomic<uint32_t> address_{0};
  Counter ignored_;
};

// bus << 20 | devfn << 12 | register.
class EcamWindow final : public IoHandler {
 public:
  explicit EcamWindow(PciBus& root) : root_(root) {}
  std::string_view name() const override { return "pci-ecam"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  PciBus& root_;
};

}  // namespace nandu
