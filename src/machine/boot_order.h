// Which devices firmware tries to boot from, and what it calls them: OpenFirmware device paths, as QEMU's
// "bootorder" file has them (QEMU, docs/bootindex.rst). Control thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nandu/device.h>

#include "base/result.h"

namespace nandu {

// "/pci@i0cf8/pci-bridge@1/scsi@0": the way to a function from the root bus.
std::string OpenFirmwarePath(const PciFunction& function);

// What else firmware may boot: an option ROM of fw_cfg.
struct BootRom {
  int32_t index = 0;
  std::string file;  // "genroms/linuxboot_dma.bin"
};

// The paths of what has a bootindex, lowest first. Fails when two have the same.
Result<std::vector<std::string>> BootOrder(std::span<Device* const> devices, std::span<const BootRom> roms);

}  // namespace nandu
