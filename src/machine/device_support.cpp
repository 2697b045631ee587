#include "machine/device_support.h"

#include <algorithm>
#include <vector>

namespace nandu {
namespace {

constexpr Handling kWorks = Handling::kWorks;
constexpr Handling kPlanned = Handling::kPlanned;
constexpr Handling kRefused = Handling::kRefused;

constexpr std::string_view kVirtioBus =
    "it plugs into a virtio-mmio transport, which a q35 board does not have; use the name that ends in -pci";
constexpr std::string_view kVariantsTest = "variants.kvm.every_name_is_qemus";
constexpr std::string_view kOldNic =
    "a network card that no guest needs any more; use virtio-net-pci (e1000e, e1000 and rtl8139 come)";
constexpr std::string_view kOldSound = "a sound card of the ISA and early PCI days; ich9-intel-hda comes";
constexpr std::string_view kOldDisk =
    "a disk controller of other boards; use virtio-blk-pci, ide-hd or virtio-scsi-pci";
constexpr std::string_view kTestDevice = "it tests QEMU itself";
constexpr std::string_view kCan = "it simulates a CAN bus, which no KVM guest of a server or desktop has";
constexpr std::string_view kIpmi =
    "a board management controller is not simulated; use a BMC simulator such as OpenIPMI's beside the VM";
constexpr std::string_view kFirmware = "it waits for firmware and fw_cfg";
constexpr std::string_view kStorage =
    "it waits for second AHCI controllers and passed-through disks; use the board's own (ide-hd, ide-cd), "
    "virtio-scsi-pci or virtio-blk-pci";
constexpr std::string_view kScreens = "it waits for displays beyond VGA; use VGA or secondary-vga";
constexpr std::string_view kUsb = "it waits for USB (qemu-xhci and its devices)";
constexpr std::string_view kWider = "it waits for the wider hardware";
constexpr std::string_view kVhostUser = "it waits for other people's backends (vhost and vhost-user)";
constexpr std::string_view kHotplug = "it waits for memory and CPU hot-plug";
constexpr std::string_view kSound = "it waits for sound (HDA)";
constexpr std::string_view kIommu = "it waits for IOMMUs and device assignment (VFIO)";
constexpr std::string_view kVirtioInput = "it waits for input devices over virtio";
constexpr std::string_view kBridges = "it waits for the other PCI bridges; use pcie-root-port";
constexpr std::string_view kNics = "it waits for the emulated network cards; use virtio-net-pci";

// A row for each device, or for several that share a fate. A device that begins to work moves to a row of its
// own that names its test.
constexpr DeviceSupport kDevices[] = {
    // Bridges
    {"pcie-root-port", kWorks, "board.lab.every_device_works"},
    {"pcie-pci-bridge pci-bridge i82801b11-bridge ioh3420 x3130-upstream xio3130-downstream pxb pxb-pcie",
     kPlanned, kBridges},
    {"pci-bridge-seat", kRefused, "nandu has one seat per VM"},
    {"cxl-downstream cxl-rp cxl-upstream cxl-type3 pxb-cxl", kRefused,
     "CXL memory is experimental in QEMU 7.2; its guests' place is a TCG machine"},
    {"vmbus-bridge", kRefused, "VMBus devices belong to guests of Hyper-V; use virtio"},
    // USB
    {"qemu-xhci nec-usb-xhci usb-hub usb-kbd usb-mouse usb-tablet usb-storage usb-redir usb-host usb-ehci "
     "ich9-usb-ehci1 ich9-usb-ehci2 ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 "
     "ich9-usb-uhci5 ich9-usb-uhci6 piix3-usb-uhci piix4-usb-uhci",
     kPlanned, kUsb},
    {"pci-ohci usb-bot usb-uas usb-mtp usb-net usb-braille usb-ccid ccid-card-emulated ccid-card-passthru "
     "usb-serial usb-wacom-tablet usb-audio u2f-passthru",
     kRefused, "give the real device to the guest with usb-redir or usb-host, which wait for USB"},
    // Storage
    {"virtio-blk-pci virtio-blk", kWorks, "disk.lab.both_engines_keep_every_byte"},
    {"virtio-blk-pci-non-transitional virtio-blk-pci-transitional", kWorks, kVariantsTest},
    {"ide-cd ide-hd", kWorks, "storage.lab.disks_and_drives_are_qemus"},
    {"virtio-scsi-pci virtio-scsi scsi-cd scsi-hd", kWorks, "storage.lab.disks_and_drives_are_qemus"},
    {"virtio-scsi-pci-non-transitional virtio-scsi-pci-transitional", kWorks, kVariantsTest},
    {"ich9-ahci ahci scsi-block scsi-generic", kPlanned, kStorage},
    {"nvme nvme-ns nvme-subsys pvscsi megasas megasas-gen2 isa-fdc floppy virtio-pmem virtio-pmem-pci nvdimm",
     kPlanned,
     "it waits for the wider storage: NVMe, persistent memory, floppy and controllers of imported guests"},
    {"am53c974 dc390 lsi53c810 lsi53c895a lsi mptsas1068 isa-ide piix3-ide piix4-ide sd-card sdhci-pci",
     kRefused, kOldDisk},
    {"vhost-scsi vhost-scsi-pci vhost-scsi-pci-non-transitional vhost-scsi-pci-transitional vhost-user-blk "
     "vhost-user-blk-pci vhost-user-blk-pci-non-transitional vhost-user-blk-pci-transitional "
     "vhost-user-fs-device vhost-user-fs-pci vhost-user-scsi vhost-user-scsi-pci "
     "vhost-user-scsi-pci-non-transitional vhost-user-scsi-pci-transitional virtio-9p-pci virtio-9p "
     "virtio-9p-pci-non-transitional virtio-9p-pci-transitional",
     kPlanned, kVhostUser},
    {"virtio-9p-device virtio-blk-device virtio-scsi-device virtio-net-device virtio-serial-device "
     "virtio-keyboard-device virtio-mouse-device virtio-tablet-device virtio-input-host-device "
     "virtio-gpu-device virtio-balloon-device virtio-crypto-device virtio-iommu-device virtio-rng-device "
     "vhost-vsock-device vhost-user-vsock-device vhost-user-gpio-device vhost-user-i2c-device",
     kRefused, kVirtioBus},
    // Network
    {"virtio-net-pci virtio-net", kWorks, "net.lab.taps_carry_every_byte_both_ways"},
    {"virtio-net-pci-non-transitional virtio-net-pci-transitional", kWorks, kVariantsTest},
    {"e1000e e1000 e1000-82540em e1000-82544gc e1000-82545em rtl8139", kPlanned, kNics},
    {"i82550 i82551 i82557a i82557b i82557c i82558a i82558b i82559a i82559b i82559c i82559er i82562 i82801 "
     "ne2k_isa ne2k_pci pcnet tulip vmxnet3",
     kRefused, kOldNic},
    {"pvrdma rocker", kRefused, "it simulates a switch or adapter for development of their drivers"},
    // Character devices and input
    {"isa-serial", kWorks, "board.lab.every_device_works"},
    {"virtio-serial-pci virtio-serial", kWorks, "board.lab.every_device_works"},
    {"virtconsole", kWorks, "board.lab.every_device_works"},
    {"virtserialport", kWorks, "board.lab.every_device_works"},
    {"virtio-serial-pci-non-transitional virtio-serial-pci-transitional", kWorks, kVariantsTest},
    {"isa-parallel pci-serial pci-serial-2x pci-serial-4x", kPlanned,
     "it waits for the wider hardware; use isa-serial or virtio-serial-pci"},
    {"ipoctal232 tpci200", kRefused, "IndustryPack carriers are not for KVM guests; use isa-serial"},
    {"i8042 mc146818rtc vmmouse", kRefused, "a q35 board has one already"},
    {"virtio-keyboard-pci virtio-keyboard virtio-mouse-pci virtio-mouse virtio-tablet-pci virtio-tablet "
     "virtio-input-host-pci virtio-input-host",
     kPlanned, kVirtioInput},
    {"vhost-user-input vhost-user-input-pci vhost-user-rng vhost-user-rng-pci vhost-user-gpio-pci "
     "vhost-user-i2c-pci",
     kPlanned, kVhostUser},
    // Displays
    {"VGA", kWorks, "vga.kvm.every_mode_is_qemus"},
    {"secondary-vga", kWorks, "unit_display.VgaCard.ASecondaryCardHasRegistersInItsBarAlone"},
    {"bochs-display cirrus-vga qxl qxl-vga ramfb virtio-gpu-pci virtio-gpu virtio-vga", kPlanned, kScreens},
    {"virtio-gpu-gl-pci virtio-gpu-gl virtio-vga-gl vhost-user-gpu vhost-user-gpu-pci vhost-user-vga",
     kRefused,
     "a guest's OpenGL would run in this process or need a display of the host; use virtio-vga when it is "
     "there"},
    {"ati-vga isa-cirrus-vga isa-vga vmware-svga", kRefused,
     "a graphics card that no guest needs; VGA, cirrus-vga, qxl and virtio-vga come"},
    {"sga", kRefused, "SeaBIOS itself talks to the serial port with -nographic, when firmware is there"},
    // Sound
    {"intel-hda ich9-intel-hda hda-duplex hda-micro hda-output", kPlanned, kSound},
    {"AC97 ac97 ES1370 es1370 adlib cs4231a gus sb16", kRefused, kOldSound},
    // What is left
    {"isa-debug-exit", kWorks, "startup.kvm.debug_exit_carries_the_value"},
    {"isa-debugcon", kWorks, "board.lab.every_device_works"},
    {"pvpanic", kWorks, "chips.kvm.a_panic_is_told_and_acted_on"},
    {"pvpanic-pci", kPlanned, "it waits for the wider hardware; use pvpanic"},
    {"virtio-balloon-pci virtio-balloon", kWorks, "balloon.lab.the_balloon_takes_memory_and_gives_it_back"},
    {"virtio-rng-pci virtio-rng", kWorks, "board.lab.every_device_works"},
    {"virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional virtio-rng-pci-non-transitional "
     "virtio-rng-pci-transitional",
     kWorks, kVariantsTest},
    {"vmcoreinfo", kPlanned, kFirmware},
    {"vmgenid", kWorks, "boot.lab.a_guest_reads_its_generation_id"},
    {"loader", kWorks, "loader.kvm.memory_is_as_qemu_loads_it"},
    {"guest-loader", kRefused, "it hands Xen its guests, through a device tree; x86 has none"},
    {"acpi-erst", kPlanned, kWider},
    {"i6300esb ib700", kPlanned, "it waits for watchdogs"},
    {"intel-iommu amd-iommu virtio-iommu-pci virtio-iommu vfio-pci vfio-pci-nohotplug", kPlanned, kIommu},
    {"AMDVI-PCI", kRefused, "it is a part of amd-iommu"},
    {"vfio-pci-igd-lpc-bridge", kRefused, "it is a part of vfio-pci with an Intel graphics card"},
    {"tpm-crb tpm-tis", kPlanned, "it waits for TPMs (swtpm)"},
    {"vhost-vsock-pci vhost-vsock-pci-non-transitional vhost-user-vsock-pci "
     "vhost-user-vsock-pci-non-transitional",
     kPlanned, kVhostUser},
    {"ivshmem-doorbell ivshmem-plain virtio-crypto-pci", kPlanned, kWider},
    {"virtio-mem virtio-mem-pci pc-dimm *-x86_64-cpu", kPlanned, kHotplug},
    {"ctucan_pci kvaser_pci mioe3680_pci pcm3680_pci", kRefused, kCan},
    {"edu hyperv-testdev pc-testdev pci-testdev", kRefused, kTestDevice},
    {"hv-syndbg", kRefused, "it is the debug channel of Windows kernels under Hyper-V; use -gdb"},
    {"i2c-ddc smbus-ipmi", kRefused, "it is a part of other boards' displays and management buses"},
    {"isa-applesmc", kRefused, "Apple licenses its system for Apple's hardware alone"},
    {"ipmi-bmc-extern ipmi-bmc-sim isa-ipmi-bt isa-ipmi-kcs pci-ipmi-bt pci-ipmi-kcs", kRefused, kIpmi},
    {"x-pci-proxy-dev", kRefused, "QEMU's multi-process devices are experimental; use vhost-user"},
};

std::vector<std::string_view> Words(std::string_view names) {
  std::vector<std::string_view> words;
  while (!names.empty()) {
    const size_t end = std::min(names.find(' '), names.size());
    words.push_back(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return words;
}

bool Covers(std::string_view word, std::string_view driver) {
  return word.starts_with('*') ? driver.ends_with(word.substr(1)) : word == driver;
}

}  // namespace

std::span<const DeviceSupport> DeviceSupportTable() { return kDevices; }

const DeviceSupport* FindDeviceSupport(std::string_view driver) {
  for (const DeviceSupport& row : kDevices) {
    for (const std::string_view word : Words(row.names)) {
      if (Covers(word, driver)) {
        return &row;
      }
    }
  }
  return nullptr;
}

std::string DeviceSupportText() {
  std::string text;
  for (const DeviceSupport& row : kDevices) {
    for (const std::string_view word : Words(row.names)) {
      text += Format("{:<8} {:<38} {}\n", HandlingName(row.handling), word,
                     row.handling == kWorks ? std::string_view() : row.text);
    }
  }
  return text;
}

std::string DeviceSupportMarkdown() {
  std::string text = "| device | | why, or the test that shows it |\n|---|---|---|\n";
  for (const Handling handling : {kWorks, kPlanned, kRefused}) {
    for (const DeviceSupport& row : kDevices) {
      if (row.handling != handling) {
        continue;
      }
      std::string names;
      for (const std::string_view word : Words(row.names)) {
        names += Format("{}`{}`", names.empty() ? "" : ", ", word);
      }
      text += Format("| {} | {} | {} |\n", names, HandlingName(handling), row.text);
    }
  }
  return text;
}

}  // namespace nandu
