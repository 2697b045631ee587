#include "machine/kvm_board.h"

#include <algorithm>
#include <iterator>
#include <unistd.h>
#include <utility>

#include "base/log.h"
#include "vcpu/host_cpu.h"
#include "vcpu/memory_types.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr unsigned kExtendedDestinations = 15;  // CPUID 0x40000001, EAX
constexpr uint64_t kMostRam = uint64_t{1} << 40;

Result<> CheckRam(uint64_t bytes) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (bytes < (uint64_t{1} << 20) || bytes > kMostRam || bytes % page != 0) {
    return Fail(Errc::kInvalidArgument,
                "-m: {} bytes of memory cannot be given; between 1 MiB and 1 TiB, a multiple of {} bytes",
                bytes, page);
  }
  return {};
}

Result<CpuModel> Resolve(const std::string& text, const HostCpu& host) {
  const CpuRequest request = TRY(ParseCpu(text));
  return ResolveCpuModel(request, host);
}

}  // namespace

KvmBoard::KvmBoard() : memory_("memory", UINT64_MAX), ports_("io", 0x10000) {}

KvmBoard::~KvmBoard() {
  StopVcpus();  // and then nobody tells KVM of the mappings that go
  if (slots_) {
    memory_.RemoveListener(slots_.get());
    memory_.RemoveListener(memory_events_.get());
    ports_.RemoveListener(port_events_.get());
  }
}

void KvmBoard::StopVcpus() {
  if (irqchip_) {
    irqchip_->Disconnect();
  }
  memory_.SetBarrier(nullptr);
  ports_.SetBarrier(nullptr);
  vcpus_.reset();
}

Result<std::unique_ptr<KvmBoard>> KvmBoard::Create(const MachineConfig& config, const BoardRam& ram,
                                                   const FirmwareRom* rom) {
  TRY(CheckRam(config.ram_bytes));
  std::unique_ptr<KvmBoard> board(new KvmBoard());
  board->kvm_ = TRY(Kvm::Open());
  HostCpu host = QueryHostCpu(*board->kvm_);
  host.extended_destinations = config.irqchip == IrqchipKind::kSplit && board->kvm_->has(KVM_CAP_X2APIC_API);
  board->cpu_ = TRY(Prefix(Resolve(config.cpu, host), Format("-cpu {}", config.cpu)));
  TRY(board->CreateVm(config));
  TRY(board->PlaceMemory(config.ram_bytes, host));
  TRY(board->MapMemory(ram, rom));
  TRY(board->CreateVcpus(config, host));
  return board;
}

Result<> KvmBoard::CreateVm(const MachineConfig& config) {
  const SmpConfig& smp = config.smp;
  topology_ = CpuTopology{smp.sockets, smp.dies, smp.cores, smp.threads};
  KvmVm::Options options;
  options.irqchip = config.irqchip == IrqchipKind::kSplit ? KvmVm::Options::Irqchip::kSplit
                                                          : KvmVm::Options::Irqchip::kKernel;
  // Ids that do not fit eight bits, or a guest that may name them in its messages.
  constexpr uint32_t kMostXapicId = 254;
  const bool extended = cpu_.features.Has(FeatureWord::kKvm, kExtendedDestinations);
  options.x2apic_ids = extended || topology_.ApicId(smp.max_cpus - 1) > kMostXapicId;
  vm_ = TRY(KvmVm::Create(*kvm_, options));
  if (config.pit_discards_lost_ticks && config.irqchip == IrqchipKind::kKernel) {
    TRY(Prefix(vm_->DiscardLostTicks(), "kvm-pit"));
  }
  irqchip_kind_ = options.irqchip;
  router_ = TRY(KvmIrqRouter::Create(*vm_, {options.irqchip, extended}));
  msi_ = std::make_unique<KvmMsiAllocator>(*router_);
  slots_ = std::make_unique<KvmMemoryListener>(*vm_);
  memory_events_ = std::make_unique<KvmIoEventListener>(*vm_, KvmIoEventListener::Bus::kMemory);
  port_events_ = std::make_unique<KvmIoEventListener>(*vm_, KvmIoEventListener::Bus::kPorts);
  memory_.AddListener(slots_.get());
  memory_.AddListener(memory_events_.get());
  ports_.AddListener(port_events_.get());
  return {};
}

// Decides where RAM lies, or says why it cannot.
Result<> KvmBoard::PlaceMemory(uint64_t ram_bytes, const HostCpu& host) {
  map_ = nandu::MapMemory(ram_bytes, cpu_.is_amd());
  // As QEMU: room for 64-bit BARs belongs to it, but for a CPU that has no such addresses.
  constexpr unsigned kNarrow = 32;
  const uint64_t memory_end = map_.high_ram_bytes != 0 ? map_.high_ram_base + map_.high_ram_bytes : 0;
  const uint64_t end = cpu_.phys_bits > kNarrow ? map_.pci64_end() : memory_end;
  if (end > (uint64_t{1} << cpu_.phys_bits)) {
    return Fail(Errc::kInvalidArgument,
                "-m: memory and the room for 64-bit BARs above it would end at {:#x}, and this CPU model has {} bits "
                "of physical addresses; give it less memory, or -cpu {},host-phys-bits=on",
                end, cpu_.phys_bits, cpu_.name);
  }
  if (memory_end > (uint64_t{1} << host.phys_bits)) {
    return Fail(Errc::kInvalidArgument,
                "-m: memory would end at {:#x}, and this host's processor has {} bits of physical addresses; give "
                "the guest less memory",
                memory_end, host.phys_bits);
  }
  return {};
}

Result<> KvmBoard::MapMemory(const BoardRam& ram, const FirmwareRom* rom) {
  {
    // One commit, and before there is a vCPU: each slot costs KVM milliseconds afterwards.
    const AddressSpace::Transaction transaction;
    TRY(MapRam(ram));
    if (rom != nullptr) {
      std::vector<Mapping> mapped = TRY(rom->Map(memory_));
      std::ranges::move(mapped, std::back_inserter(mappings_));
    }
  }
  // Later a BAR may do without a slot; a guest whose RAM is emulated access by access may not start.
  if (slots_->exit_driven().value() != 0) {
    return Fail(Errc::kIo, "KVM refuses the guest's memory; the reason is above");
  }
  return {};
}

// Block after block, from address 0 up to the hole and on above it; one may lie on both sides.
Result<> KvmBoard::MapRam(const BoardRam& ram) {
  uint64_t next = 0;
  for (const std::shared_ptr<RamBlock>& block : ram.blocks) {
    for (uint64_t offset = 0; offset < block->size();) {
      if (next == map_.low_ram_bytes) {
        next = map_.high_ram_base;
      }
      const uint64_t room = next < MemoryMap::kFourGiB ? map_.low_ram_bytes - next : UINT64_MAX;
      const uint64_t count = std::min(block->size() - offset, room);
      TRY(shadow_ram_.MapRam(memory_, block, offset, next, count, &mappings_));
      offset += count;
      next += count;
    }
  }
  return {};
}

Result<> KvmBoard::CreateVcpus(const MachineConfig& config, const HostCpu& host) {
  vcpus_ = std::make_unique<VcpuSet>(memory_, ports_, static_cast<VcpuObserver&>(*this));
  TRY(vcpus_->AddAll(*vm_, cpu_, topology_, host, config.smp.cpus));
  memory_.SetBarrier(vcpus_.get());
  ports_.SetBarrier(vcpus_.get());
  return {};
}

Result<> KvmBoard::MakeIrqchip(DeviceHost& host) {
  if (irqchip_kind_ == KvmVm::Options::Irqchip::kSplit) {
    irqchip_ = TRY(CreateSplitIrqchip(host, *router_, *vcpus_));
  } else {
    irqchip_ = CreateKernelIrqchip(*vm_);
  }
  return {};
}

void KvmBoard::FreezeClock() {
  const Result<uint64_t> now = vm_->GetClock();
  frozen_clock_ns_ = now ? std::optional<uint64_t>(*now) : std::nullopt;
}

void KvmBoard::ThawClock() {
  if (const std::optional<uint64_t> then = std::exchange(frozen_clock_ns_, std::nullopt)) {
    if (const Result<> set = vm_->SetClock(*then); !set) {
      Log(LogLevel::kWarning, "the guest's clock went on while it was paused: {}", set.error().message);
    }
  }
}

Result<> KvmBoard::Reset(const BootRegisters& boot) {
  RenewBrokenMemory();
  TRY(irqchip_->Reset());
  irqchip_->RedriveLines();
  TRY(vcpus_->ResetAll(boot));
  if (boot.mode != BootRegisters::Mode::kResetVector) {
    SetMemoryTypes();
  }
  return {};
}

// Firmware's chore on every processor, where none runs.
void KvmBoard::SetMemoryTypes() {
  bool refused = false;
  for (size_t index = 0; index < vcpus_->size(); ++index) {
    Vcpu& vcpu = vcpus_->at(index);
    const std::vector<kvm_msr_entry> types =
        FirmwareMemoryTypes(vcpu.cpuid(), map_.pci32_base(), cpu_.phys_bits);
    refused |= !SetMsrsTolerantly(vcpu.kvm(), types).empty();
  }
  if (refused) {
    Log(LogLevel::kWarning, "this host's KVM has no MTRRs; the guest maps no device memory write-combining");
  }
}

void KvmBoard::OnTripleFault(unsigned /*index*/) { events_.triple_fault(); }
void KvmBoard::OnInternalError(unsigned index, std::string_view why) {
  events_.internal_error(Format("vCPU {}: {}", index, why));
}
bool KvmBoard::TakeDebugExit(unsigned index, const DebugExit& exit) {
  return events_.take_debug_exit(index, exit);
}

bool KvmBoard::TakePoison(unsigned index, const PoisonedMemory& poison) {
  {
    const MutexLock lock(broken_mutex_);
    broken_.push_back(poison.at);
  }
  return vcpus_->ReportPoison(index, poison);
}

void KvmBoard::ReportFoundPoison(const void* at) {
  if (!TakePoison(0, {at, PoisonedMemory::Kind::kFound})) {
    Log(LogLevel::kWarning,
        "memory of the host is broken that the guest may use; this CPU model cannot be told, and the VM "
        "stops "
        "if it does");
  }
}

// A guest that starts anew gets pages that work.
void KvmBoard::RenewBrokenMemory() {
  const MutexLock lock(broken_mutex_);
  for (const void* const at : broken_) {
    LostMemory::Renew(at);
  }
  broken_.clear();
}

void KvmBoard::OnDebugStop(unsigned /*index*/) { events_.debug_stop(); }
void KvmBoard::OnSystemEvent(unsigned /*index*/, SystemEvent event) { events_.system_event(event); }

}  // namespace nandu
