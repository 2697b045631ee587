// What firmware finds in fw_cfg: the board's description, the user's files, and a kernel to boot.
#include <algorithm>

#include "base/log.h"
#include "base/uuid.h"
#include "boot/acpi_image.h"
#include "boot/fw_cfg_data.h"
#include "boot/linux_items.h"
#include "devices/legacy/fw_cfg_wire.h"
#include "devices/legacy/vm_generation_id.h"
#include "machine/boot_order.h"
#include "machine/machine_impl.h"

namespace nandu {

namespace {

constexpr uint64_t kTablesBytes = 0x20000;  // what QEMU's file of tables is padded to
constexpr std::string_view kLinuxRom = "linuxboot_dma.bin";

FwCfg::Content Bytes(std::vector<uint8_t> bytes) { return FwCfg::Content{.bytes = std::move(bytes)}; }
FwCfg::Content Number(uint64_t value, unsigned bytes) { return Bytes(LittleEndianItem(value, bytes)); }

FwCfg::Content FromFile(std::shared_ptr<const BootFile> file, uint64_t from, uint64_t bytes) {
  FwCfg::Content content;
  content.size = bytes;
  content.read = [file = std::move(file), from](uint64_t offset, void* out, uint64_t count) {
    return file->Read(from + offset, out, count).has_value();
  };
  return content;
}

void PutKernel(FwCfg& fw_cfg, const LinuxItems& items) {
  fw_cfg.SetItem(fw_cfg::kKernelAddress, Number(LinuxItems::kKernelAddress, 4));
  fw_cfg.SetItem(fw_cfg::kKernelSize, Number(items.kernel_bytes, 4));
  fw_cfg.SetItem(fw_cfg::kKernelData, FromFile(items.kernel, items.kernel_offset, items.kernel_bytes));
  fw_cfg.SetItem(fw_cfg::kSetupAddress, Number(LinuxItems::kSetupAddress, 4));
  fw_cfg.SetItem(fw_cfg::kSetupSize, Number(items.setup.size(), 4));
  fw_cfg.SetItem(fw_cfg::kSetupData, Bytes(items.setup));
  fw_cfg.SetItem(fw_cfg::kCommandLineAddress, Number(LinuxItems::kCommandLineAddress, 4));
  fw_cfg.SetItem(fw_cfg::kCommandLineSize, Number(items.command_line.size(), 4));
  fw_cfg.SetItem(fw_cfg::kCommandLineData, Bytes(items.command_line));
  if (items.initrd) {
    fw_cfg.SetItem(fw_cfg::kInitrdAddress, Number(items.initrd_address, 4));
    fw_cfg.SetItem(fw_cfg::kInitrdSize, Number(items.initrd->size(), 4));
    fw_cfg.SetItem(fw_cfg::kInitrdData, FromFile(items.initrd, 0, items.initrd->size()));
  }
}

}  // namespace

Result<> Machine::Impl::FillFwCfg() {
  FwCfg& fw_cfg = q35->fw_cfg();
  const AcpiInput acpi = MakeAcpiInput();
  const uint32_t apic_ids = board->topology().ApicId(config.smp.max_cpus - 1) + 1;
  const Uuid uuid = ParseUuid(config.uuid).value_or(Uuid{});
  fw_cfg.SetItem(fw_cfg::kSignature, Bytes({'Q', 'E', 'M', 'U'}));
  fw_cfg.SetItem(fw_cfg::kId, Number(fw_cfg::kIdTraditional | fw_cfg::kIdDma, 4));
  fw_cfg.SetItem(fw_cfg::kUuid, Bytes({uuid.begin(), uuid.end()}));
  fw_cfg.SetItem(fw_cfg::kRamSize, Number(config.ram_bytes, 8));
  fw_cfg.SetItem(fw_cfg::kNoGraphic, Number(config.nographic ? 1 : 0, 2));
  fw_cfg.SetItem(fw_cfg::kCpus, Number(config.smp.cpus, 2));
  fw_cfg.SetItem(fw_cfg::kMaxCpus, Number(apic_ids, 2));
  fw_cfg.SetItem(fw_cfg::kNuma, Bytes(NumaItem(acpi, apic_ids)));
  fw_cfg.SetItem(fw_cfg::kBootMenu, Number(config.boot.menu ? 1 : 0, 2));
  fw_cfg.SetItem(fw_cfg::kIrq0Override, Number(1, 4));
  fw_cfg.SetItem(fw_cfg::kHpet, Bytes(HpetItem(config.hpet)));

  TRY(fw_cfg.AddFile("bios-geometry", {}));
  TRY(fw_cfg.AddFile("etc/e820", Bytes(E820File(acpi.memory))));
  TRY(fw_cfg.AddFile("etc/system-states", Bytes(SystemStatesFile(acpi.s3, acpi.s4))));
  TRY(fw_cfg.AddFile("etc/tpm/log", {}));
  TRY(AddBootFiles());
  const SmbiosInput smbios_input = TRY(MakeSmbiosInput());
  const SmbiosTables tables = TRY(SmbiosTables::BuildForFirmware(smbios_input));
  TRY(fw_cfg.AddFile("etc/smbios/smbios-anchor", Bytes(tables.entry())));
  TRY(fw_cfg.AddFile("etc/smbios/smbios-tables", Bytes(tables.structures())));
  if (config.acpi) {
    TRY(AddAcpiFiles());
  }
  for (const FwCfgFileConfig& file : config.fw_cfg_files) {
    TRY(AddUserFile(file));
  }
  return {};
}

// Built again when a guest asks: where firmware put the ECAM window is in them.
Result<> Machine::Impl::AddAcpiFiles() {
  FwCfg& fw_cfg = q35->fw_cfg();
  const AcpiImage now = BuildAcpiImage(MakeAcpiInput());
  const auto add = [this, &fw_cfg, &now](std::string_view name, uint64_t size,
                                         std::function<std::vector<uint8_t>(const AcpiImage&)> take) {
    FwCfg::Content content;
    content.bytes = take(now);
    content.size = size;
    content.refresh = [this, take = std::move(take)] { return take(BuildAcpiImage(MakeAcpiInput())); };
    return fw_cfg.AddFile(std::string(name), std::move(content));
  };
  TRY(add(acpi_file::kTables, kTablesBytes, [](const AcpiImage& image) { return image.tables(); }));
  TRY(add(acpi_file::kRsdp, 0, [](const AcpiImage& image) { return image.rsdp(); }));
  TRY(add(acpi_file::kLoader, 0, LoaderScript));
  if (generation_id == nullptr) {
    return {};
  }
  TRY(add(acpi_file::kGenerationId, 0, [](const AcpiImage& image) { return image.generation_id(); }));
  FwCfg::Content address;
  address.bytes.resize(sizeof(uint64_t));
  address.writable = true;
  address.written = [this](const std::vector<uint8_t>& bytes) {
    uint64_t at = 0;
    for (size_t i = bytes.size(); i-- > 0;) {
      at = at << 8 | bytes[i];
    }
    loop.Post([this, at] { generation_id->SetAddress(at); });
  };
  return fw_cfg.AddFile(std::string(acpi_file::kGenerationIdAddress), std::move(address));
}

// What and in which order firmware boots, and how long it waits.
Result<> Machine::Impl::AddBootFiles() {
  FwCfg& fw_cfg = q35->fw_cfg();
  std::vector<BootRom> roms;
  if (firmware_runs() && kernel) {
    const LinuxItems items =
        TRY(LinuxItems::Make(std::move(*kernel), std::move(initrd), config.append, MakeAcpiInput().memory));
    kernel.reset();
    PutKernel(fw_cfg, items);
    const std::string file = Format("genroms/{}", kLinuxRom);
    std::vector<uint8_t> rom_bytes = TRY(Prefix(firmware_files.Read(std::string(kLinuxRom)), "-kernel"));
    TRY(fw_cfg.AddFile(file, Bytes(std::move(rom_bytes))));
    roms.push_back(BootRom{0, file});
  }
  for (const OptionRomConfig& wanted : config.option_roms) {
    const std::string file = Format("genroms/{}", wanted.file.substr(wanted.file.rfind('/') + 1));
    std::vector<uint8_t> bytes = TRY(Prefix(firmware_files.Read(wanted.file), "-option-rom"));
    TRY(Prefix(fw_cfg.AddFile(file, Bytes(std::move(bytes))), "-option-rom"));
    roms.push_back(BootRom{wanted.bootindex, file});
  }
  const std::vector<std::string> paths = TRY(BootOrder(all_devices, roms));
  TRY(fw_cfg.AddFile("bootorder", Bytes(BootOrderFile(paths, config.boot.strict))));
  const uint64_t reboot_ms = config.boot.reboot_timeout_ms ? *config.boot.reboot_timeout_ms : UINT32_MAX;
  TRY(fw_cfg.AddFile("etc/boot-fail-wait", Number(reboot_ms, 4)));
  if (config.boot.splash_time_ms) {
    TRY(fw_cfg.AddFile("etc/boot-menu-wait", Number(*config.boot.splash_time_ms, 2)));
  }
  return {};
}

Result<> Machine::Impl::AddUserFile(const FwCfgFileConfig& file) {
  std::vector<uint8_t> bytes(file.text.begin(), file.text.end());
  if (file.in_file) {
    bytes = TRY(Prefix(firmware_files.Read(file.text), Format("-fw_cfg name={}", file.name)));
  }
  return Prefix(q35->fw_cfg().AddFile(file.name, Bytes(std::move(bytes))), "-fw_cfg");
}

}  // namespace nandu
