// Boots a kernel without firmware: the kernel, its initrd and command line, and the chores a BIOS would have
// done (ACPI and SMBIOS tables, memory map). Made once at start, where every wrong file is found; Load is
// called at start and again at every reset, since the guest overwrites memory. Control thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "boot/acpi.h"
#include "boot/boot_file.h"
#include "boot/boot_plan.h"
#include "boot/guest_image.h"
#include "boot/smbios.h"

namespace nandu {

struct BootOptions {
  BootFile kernel;
  std::optional<BootFile> initrd;
  std::vector<BootModule> modules = {};  // for a multiboot kernel
  std::string command_line;
  AcpiInput acpi;  // its memory layout is the one the kernel is placed in
  SmbiosInput smbios;
};

class BootLoader {
 public:
  static Result<std::unique_ptr<BootLoader>> Create(BootOptions options);

  // RAM at 0..640 KiB, 0xf0000..1 MiB and up must be mapped and writable.
  Result<CpuEntry> Load(const GuestMemory& memory) const;
  // After hotplug: the next reset shows the guest these devices.
  Result<> SetAcpi(const AcpiInput& input);

  const AcpiTables& acpi() const { return acpi_; }

 private:
  BootLoader() = default;
  ImageInput input() const;

  std::unique_ptr<GuestImage> image_;
  std::optional<BootFile> initrd_;
  std::vector<BootModule> modules_;
  std::string command_line_;
  MemoryLayout memory_;
  AcpiTables acpi_;
  SmbiosTables smbios_;
};

}  // namespace nandu
