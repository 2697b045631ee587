// `-device VGA` and `-device secondary-vga`: PCI function 1234:1111. BAR 0 is the memory, BAR 2 the
// registers; the primary card has VGA's ports, the window at 0xa0000 and the BIOS in its ROM as well. Device
// functions: control thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "devices/display/surface.h"
#include "devices/display/vga_core.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_options.h"
#include "devices/pci/pci_rom.h"

namespace nandu {

// QEMU's names.
struct VgaOptions : PciDeviceOptions {
  uint32_t vgamem_mb = 16;
  bool edid = true;
  std::optional<uint32_t> xres;  // the monitor's preferred size
  std::optional<uint32_t> yres;
  std::optional<uint32_t> xmax;
  std::optional<uint32_t> ymax;
  std::optional<uint32_t> refresh_rate;  // thousandths of a hertz
  bool qemu_extended_regs = true;
  bool big_endian_framebuffer = false;
};
BOOST_DESCRIBE_STRUCT(VgaOptions, (PciDeviceOptions),
                      (vgamem_mb, edid, xres, yres, xmax, ymax, refresh_rate, qemu_extended_regs,
                       big_endian_framebuffer))
inline std::span<const WireName> WireNames(const VgaOptions*) {
  static constexpr WireName kNames[] = {{"vgamem_mb", "vgamem_mb"}, {"refresh_rate", "refresh_rate"}};
  return kNames;
}
Result<> Validate(const VgaOptions& options);

struct VgaCardOptions : VgaOptions {
  bool mmio = true;  // of the primary card alone
};
BOOST_DESCRIBE_STRUCT(VgaCardOptions, (VgaOptions), (mmio))
inline std::span<const WireName> WireNames(const VgaCardOptions*) {
  return WireNames(static_cast<const VgaOptions*>(nullptr));
}

class VgaCard final : public Device {
 public:
  enum class Kind : uint8_t { kPrimary, kSecondary };
  static Result<std::unique_ptr<VgaCard>> Create(DeviceHost& host, std::string id,
                                                 const VgaCardOptions& options, Kind kind);
  ~VgaCard() override;

  // Whether it is a primary card whose BIOS has shapes of characters.
  bool HasTextFont() const { return !font_.empty(); }
  // Text mode 3 with those shapes, as that BIOS would leave it. After a reset; with a text font only.
  void SetUpAsFirmware();

  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return kind_ == Kind::kPrimary ? "VGA" : "secondary-vga"; }
  std::string StatePath() const override;
  PciFunction* pci() override { return &function_; }
  std::shared_ptr<Display> display() const override { return surface_; }
  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override { done(); }  // nothing is ever in flight
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  // The memory is saved as RAM is, block by block.
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

  VgaCore& core() { return *core_; }

 private:
  VgaCard(std::string id, const VgaCardOptions& options, Kind kind, std::shared_ptr<RamBlock> memory);
  Result<> AddBars(DeviceHost& host, const VgaCardOptions& options);
  Result<> MapLegacy(DeviceHost& host);
  void FindFont();
  void FollowWindow();

  const std::string id_;
  const Kind kind_;
  mutable PciFunction function_;
  const std::shared_ptr<VgaCore> core_;
  const std::shared_ptr<DisplaySurface> surface_;
  std::shared_ptr<const PciRom> rom_;
  std::span<const uint8_t> font_;  // in rom_
  PciBus* bus_ = nullptr;
  AddressSpace* memory_space_ = nullptr;
  Mapping ports_;
  Mapping vbe_ports_;
  Mapping window_;
  // The part of the window that is plain memory, over the rest of it. Changed within a transaction.
  Mapping direct_;
  VgaDirectWindow direct_is_;
};

// Rows for the catalog.
const DeviceFactory& VgaFactory();
const DeviceFactory& SecondaryVgaFactory();

}  // namespace nandu
