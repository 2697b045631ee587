// A VGA card's registers as they are mapped: the legacy ports, the Bochs ports, the window, and the MMIO BAR
// that has them all and the monitor's EDID. QEMU, docs/specs/standard-vga. Any vCPU thread.
#pragma once

#include <memory>
#include <vector>

#include <nandu/io_handler.h>

#include "base/counter.h"
#include "devices/display/vga_core.h"

namespace nandu {

// 0x3b0 to 0x3df.
class VgaPorts final : public IoHandler {
 public:
  explicit VgaPorts(std::shared_ptr<VgaCore> core) : core_(std::move(core)) {}
  std::string_view name() const override { return "vga"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  const std::shared_ptr<VgaCore> core_;
};

// 0x1ce to 0x1d1: index, and data at 0x1cf and 0x1d0; 16 bits wide.
class VbePorts final : public IoHandler {
 public:
  static constexpr uint16_t kBase = 0x1ce;
  static constexpr uint16_t kPorts = 4;
  explicit VbePorts(std::shared_ptr<VgaCore> core) : core_(std::move(core)) {}
  std::string_view name() const override { return "vbe"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;
  const Counter& ignored() const { return ignored_; }

 private:
  const std::shared_ptr<VgaCore> core_;
  Counter ignored_;
};

// 0xa0000 to 0xbffff, where it is no plain memory.
class VgaWindow final : public IoHandler {
 public:
  explicit VgaWindow(std::shared_ptr<VgaCore> core) : core_(std::move(core)) {}
  std::string_view name() const override { return "vga-window"; }
  uint64_t Read(uint64_t offset, unsigned size) override { return core_->ReadWindow(offset, size); }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    core_->WriteWindow(offset, size, value);
    return ExitDone::Done();
  }

 private:
  const std::shared_ptr<VgaCore> core_;
};

// BAR 2.
class VgaMmio final : public IoHandler {
 public:
  static constexpr uint64_t kBytes = 4096;
  enum class ExtendedRegisters : uint8_t { kAbsent, kPresent };
  // `edid`: empty: the monitor says nothing.
  VgaMmio(std::shared_ptr<VgaCore> core, std::vector<uint8_t> edid, ExtendedRegisters extended)
      : core_(std::move(core)), edid_(std::move(edid)), extended_(extended == ExtendedRegisters::kPresent) {}
  std::string_view name() const override { return "vga-mmio"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;
  const Counter& ignored() const { return ignored_; }

 private:
  const std::shared_ptr<VgaCore> core_;
  const std::vector<uint8_t> edid_;
  const bool extended_;
  Counter ignored_;
};

}  // namespace nandu
