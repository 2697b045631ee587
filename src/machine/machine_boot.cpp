// What boots, and how the board is put back to its start for it: at first, and at every reset.
#include <algorithm>
#include <utility>

#include "base/uuid.h"
#include "devices/display/vga_card.h"
#include "devices/legacy/vm_generation_id.h"
#include "machine/loader_device.h"
#include "machine/machine_impl.h"

namespace nandu {
namespace {

BootRegisters RegistersFor(const CpuEntry& entry) {
  BootRegisters boot;
  switch (entry.mode) {
    case CpuEntry::Mode::kReset: boot.mode = BootRegisters::Mode::kResetVector; return boot;
    case CpuEntry::Mode::kProtected32: boot.mode = BootRegisters::Mode::kProtected32; break;
    case CpuEntry::Mode::kLong64: boot.mode = BootRegisters::Mode::kLong64; break;
  }
  boot.rip = entry.rip;
  boot.rax = entry.rax;
  boot.rsp = entry.rsp;
  boot.rbx = entry.rbx;
  boot.rsi = entry.rsi;
  boot.cr3 = entry.cr3;
  boot.gdt_base = entry.gdt_base;
  boot.gdt_limit = entry.gdt_limit;
  boot.code_selector = entry.code_selector;
  boot.data_selector = entry.data_selector;
  return boot;
}

MemoryLayout LayoutOf(const KvmBoard& board) {
  constexpr unsigned kBitsThatReachTheHole = 40;
  MemoryLayout layout;
  layout.low_ram_bytes = board.map().low_ram_bytes;
  layout.high_ram_bytes = board.map().high_ram_bytes;
  layout.high_ram_base = board.map().high_ram_base;
  layout.hypertransport_hole = board.cpu().is_amd() && board.cpu().phys_bits >= kBitsThatReachTheHole;
  return layout;
}

}  // namespace

AcpiInput Machine::Impl::MakeAcpiInput() {
  AcpiInput input;
  input.memory = LayoutOf(*board);
  input.memory.ecam_base = q35->host_bridge().ecam_base();
  input.mcfg = !firmware_runs() || q35->host_bridge().ecam_enabled();
  for (unsigned index = 0; index < config.smp.cpus; ++index) {
    input.apic_ids.push_back(board->topology().ApicId(index));
  }
  SetDefaultPciWindows(&input);
  // As QEMU's DSDT: of a slot its first function, and further ones that are bridges or the SMBus.
  for (unsigned devfn = 0; devfn < 256; ++devfn) {
    const PciFunction* function = q35->root().FindFunction(static_cast<uint8_t>(devfn));
    const bool first = (devfn & 7) == 0;
    if (function != nullptr && (first || function->identity().bridge || devfn == Ich9Smbus::kDevfn)) {
      input.root_functions.push_back(static_cast<uint8_t>(devfn));
    }
  }
  // QEMU's DSDT has the newest ISA device first; the guest numbers its PNP devices in this order.
  for (auto device = all_devices.rbegin(); device != all_devices.rend(); ++device) {
    if (const AcpiContributor* contributor = (*device)->acpi()) {
      input.isa_devices.push_back(contributor);
    }
  }
  input.fw_cfg = true;
  input.hpet = config.hpet;
  input.s4 = config.acpi_s4;
  if (generation_id != nullptr) {
    input.generation_id = generation_id->guid();
  }
  input.user_tables = acpi_tables;
  input.numa.node_bytes = node_bytes;
  input.numa.node_of_cpu.resize(config.smp.cpus);
  for (uint32_t node = 0; node < config.numa.nodes.size(); ++node) {
    for (const unsigned cpu : config.numa.nodes[node].cpus) {
      input.numa.node_of_cpu.at(cpu) = node;
    }
  }
  input.numa.distances = config.numa.distances;
  return input;
}

Result<SmbiosInput> Machine::Impl::MakeSmbiosInput() const {
  constexpr uint32_t kVersionLeaf = 1;
  SmbiosInput input;
  input.memory = LayoutOf(*board);
  input.uuid = ParseUuid(config.uuid).value_or(Uuid{});
  input.options = smbios;
  input.entry_point = config.smbios.entry_point_64 ? SmbiosEntryPoint::k30 : SmbiosEntryPoint::k28;
  input.sockets = config.smp.sockets;
  input.cores_per_socket = config.smp.dies * config.smp.cores;
  input.threads_per_core = config.smp.threads;
  const std::vector<kvm_cpuid_entry2>& cpuid = board->vcpus().at(0).cpuid();
  const auto version = std::ranges::find(cpuid, kVersionLeaf, &kvm_cpuid_entry2::function);
  if (version != cpuid.end()) {
    input.cpuid_signature = version->eax;
    // Without HTT: QEMU tells of the model's features, and HTT follows from the topology.
    constexpr uint32_t kHyperThreading = 1U << 28;
    input.cpuid_features = version->edx & ~kHyperThreading;
  }
  for (const SmbiosOnboard& onboard : smbios.onboard) {
    if (onboard.pcidev) {
      TRY(FindOnboard(*onboard.pcidev, &input));
    }
  }
  return input;
}

Result<> Machine::Impl::FindOnboard(const std::string& id, SmbiosInput* input) const {
  const auto device = std::ranges::find(devices, id, [](const auto& one) { return one->id(); });
  const PciFunction* function = device != devices.end() ? (*device)->pci() : nullptr;
  if (function == nullptr) {
    return Fail(Errc::kNotFound, "-smbios type=41: there is no PCI device '{}'", id);
  }
  if (q35->root().FindFunction(function->devfn()) != function) {
    return Fail(
        Errc::kUnsupported,
        "-smbios type=41: device '{}' is behind a bridge; only devices on the root bus can be described", id);
  }
  input->root_functions[id] = function->devfn();
  return {};
}

Result<> Machine::Impl::PrepareBoot() {
  if (!kernel) {  // none, or firmware loads it
    return {};
  }
  BootOptions options{.kernel = std::move(*kernel),
                      .initrd = std::move(initrd),
                      .modules = std::move(modules),
                      .command_line = config.append,
                      .acpi = MakeAcpiInput(),
                      .smbios = TRY(MakeSmbiosInput()),
                      .text_screen = text_screen != nullptr};
  kernel.reset();
  loader = TRY(BootLoader::Create(std::move(options)));
  if (generation_id != nullptr) {
    generation_id->SetAddress(loader->acpi().generation_id_page() + acpi::kGenerationIdOffset);
  }
  return {};
}

Result<> Machine::Impl::ResetBoard() {
  {
    const AddressSpace::Transaction transaction;  // vCPUs are out; one commit for all that moves
    q35->root().Reset();
    for (Device* device : all_devices) {
      device->Reset();
    }
    if (loader) {
      TRY(q35->SetUpWithoutFirmware());
      if (text_screen != nullptr) {
        text_screen->SetUpAsFirmware();
      }
    }
  }
  // -boot once= holds until the first reset, which is not the one of the start.
  const bool once = !std::exchange(booted, true) && !config.boot.once.empty();
  const std::string& order = once ? config.boot.once : config.boot.order;
  q35->rtc().SetBootOrder(order.empty() ? "cad" : order, config.boot.check_floppy);
  if (firmware_runs() && generation_id != nullptr) {
    generation_id->SetAddress(0);  // until firmware tells again where it put it
  }
  BootRegisters boot;  // the reset vector
  const auto view = board->memory().view();
  TRY(RunLoaders(*view->memory()));
  if (loader) {
    const CpuEntry entry = TRY(loader->Load(*view->memory()));
    boot = RegistersFor(entry);
  }
  const bool elsewhere = std::ranges::any_of(loaders, [](const LoaderDevice* one) {
    const std::optional<LoaderDevice::Start> start = one->start();
    return start && start->cpu == 0;
  });
  TRY(board->Reset(elsewhere ? BootRegisters{} : boot));
  return SetStarts();
}

// In QEMU's order: a file wins over a value at the same place, whichever is named first.
Result<> Machine::Impl::RunLoaders(const GuestMemory& memory) const {
  for (const LoaderDevice* one : loaders) {
    TRY(one->WriteValue(memory));
  }
  for (const LoaderDevice* one : loaders) {
    TRY(one->WriteImage(memory));
  }
  return {};
}

Result<> Machine::Impl::SetStarts() const {
  for (const LoaderDevice* one : loaders) {
    if (const std::optional<LoaderDevice::Start> start = one->start()) {
      TRY(board->vcpus().at(start->cpu).SetStart(start->rip));
    }
  }
  return {};
}

}  // namespace nandu
