#include "machine/boot_order.h"

#include <map>
#include <utility>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

// IEEE 1275, PCI bus binding 2.1, section 2.2.1: a function's name by its class, as far as it has one.
std::string NameOf(const PciIdentity& identity) {
  switch (identity.class_code >> 8) {
    case 0x0100: return "scsi";
    case 0x0101: return "ide";
    case 0x0102: return "fdc";
    case 0x0200: return "ethernet";
    case 0x0300: return "VGA";
    case 0x0604: return "pci-bridge";
    case 0x0780: return "communication-controller";
    case 0x0c03: return "usb";
    default: return Format("pci{:x},{:x}", identity.vendor_id, identity.device_id);
  }
}

}  // namespace

std::string OpenFirmwarePath(const PciFunction& function) {
  const PciBus* const bus = function.bus();
  const std::string before =
      bus == nullptr || bus->bridge() == nullptr ? "/pci@i0cf8" : OpenFirmwarePath(*bus->bridge());
  const unsigned number = pci::Function(function.devfn());
  return Format("{}/{}@{:x}{}", before, NameOf(function.identity()), pci::Slot(function.devfn()),
                number == 0 ? "" : Format(",{:x}", number));
}

Result<std::vector<std::string>> BootOrder(std::span<Device* const> devices, std::span<const BootRom> roms) {
  std::map<int32_t, std::pair<std::string, std::string>> by_index;  // who, path
  const auto add = [&by_index](int32_t index, std::string who, std::string path) -> Result<> {
    if (index < 0) {
      return {};
    }
    const auto [at, added] = by_index.try_emplace(index, who, std::move(path));
    if (!added) {
      return Fail(Errc::kExists, "{}: bootindex={} is {}'s already; give each its own", who, index,
                  at->second.first);
    }
    return {};
  };
  for (Device* const device : devices) {
    const std::optional<Device::BootChoice> choice = device->boot_choice();
    if (choice) {
      const PciFunction* const function = choice->controller != nullptr ? choice->controller : device->pci();
      TRY(add(choice->index, device->id(),
              (function == nullptr ? std::string() : OpenFirmwarePath(*function)) + choice->path_end));
    }
  }
  for (const BootRom& rom : roms) {
    TRY(add(rom.index, rom.file, "/rom@" + rom.file));
  }
  std::vector<std::string> paths;
  for (auto& [index, entry] : by_index) {
    paths.push_back(std::move(entry.second));
  }
  return paths;
}

}  // namespace nandu
