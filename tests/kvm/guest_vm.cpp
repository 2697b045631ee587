#include "guest_vm.h"

#include <cstring>
#include <ostream>

#include "base/format.h"
#include "long_mode.h"

namespace nandu {
namespace {

constexpr uint64_t kRomBase = 0xffff0000;
constexpr uint64_t kRomBytes = 0x10000;

}  // namespace

void PrintTo(const IoAccess& access, std::ostream* out) {
  *out << Format("{} {:#x}+{} {:#x}", access.write ? "write" : "read", access.offset, access.size,
                 access.value);
}

uint64_t Recorder::Read(uint64_t offset, unsigned size) {
  IoAccess access{false, offset, size, 0};
  if (on_read) {
    access.value = on_read(access);
  }
  Add(access);
  return access.value;
}

ExitDone Recorder::Write(uint64_t offset, unsigned size, uint64_t value) {
  const IoAccess access{true, offset, size, value};
  Add(access);
  return on_write ? on_write(access) : ExitDone::Done();
}

void Recorder::Add(const IoAccess& access) {
  const std::lock_guard lock(mutex_);
  accesses_.push_back(access);
  changed_.notify_all();
}

std::vector<IoAccess> Recorder::accesses() const {
  const std::lock_guard lock(mutex_);
  return accesses_;
}

bool Recorder::WaitFor(size_t count, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return accesses_.size() >= count; });
}

GuestVm::GuestVm(unsigned vcpu_count, std::string cpu, KvmVm::Options::Irqchip irqchip) {
  kvm = Must(Kvm::Open());
  host = QueryHostCpu(*kvm);
  split = irqchip == KvmVm::Options::Irqchip::kSplit;
  host.extended_destinations = split;
  vm = Must(KvmVm::Create(*kvm, {.irqchip = irqchip, .x2apic_ids = split}));
  router = Must(KvmIrqRouter::Create(*vm, {.irqchip = irqchip, .extended_destinations = split}));
  msi = std::make_unique<KvmMsiAllocator>(*router);
  slots = std::make_unique<KvmMemoryListener>(*vm);
  memory_events = std::make_unique<KvmIoEventListener>(*vm, KvmIoEventListener::Bus::kMemory);
  port_events = std::make_unique<KvmIoEventListener>(*vm, KvmIoEventListener::Bus::kPorts);
  vcpus = std::make_unique<VcpuSet>(memory_space, io_space, *this);
  memory_space.SetBarrier(vcpus.get());
  io_space.SetBarrier(vcpus.get());
  memory_space.AddListener(slots.get());
  memory_space.AddListener(memory_events.get());
  io_space.AddListener(port_events.get());

  ram = Must(RamBlock::CreateAnonymous("ram", kRamBytes, {}));
  rom = Must(RamBlock::CreateAnonymous("rom", kRomBytes, {}));
  ram_mapping = Must(memory_space.Map(0, Region::Ram(ram, 0, kRamBytes)));
  rom_mapping = Must(memory_space.Map(kRomBase, Region::Rom(rom, 0, kRomBytes)));
  mmio_mapping = Must(memory_space.Map(kMmio, Region::Io(mmio, 0x10000)));
  ports_mapping = Must(io_space.Map(kPorts, Region::Io(ports, 0x100)));

  model = Must(ResolveCpuModel(Must(ParseCpu(cpu)), host));
  CpuTopology topology;
  topology.sockets = vcpu_count;
  Must(vcpus->AddAll(*vm, model, topology, host, vcpu_count));
  if (!split) {
    vcpus->Start();  // else once it has its controllers
  }
}

GuestVm::~GuestVm() {
  vcpus->PauseAll([] {});
  io_space.RemoveListener(port_events.get());
  memory_space.RemoveListener(memory_events.get());
  memory_space.RemoveListener(slots.get());
  memory_space.SetBarrier(nullptr);
  io_space.SetBarrier(nullptr);
  vcpus.reset();
}

void GuestVm::Write(uint64_t address, std::span<const char> bytes) {
  NANDU_CHECK(address <= kRamBytes && bytes.size() <= kRamBytes - address,
              "a test writes within its guest's RAM");
  std::memcpy(ram->host() + address, bytes.data(), bytes.size());
}

void GuestVm::BootRom(std::span<const char> code) {
  std::memcpy(rom->host(), code.data(), code.size());
  // At 0xfff0 of the segment: jmp near to 0.
  const unsigned char jump[] = {0xe9, 0x0d, 0x00};
  std::memcpy(rom->host() + 0xfff0, jump, sizeof(jump));
  Must(vcpus->ResetAll({}));
  Resume();
}

void GuestVm::BootProtected(std::span<const char> code) {
  Write(kCode, code);
  BootRegisters boot;
  boot.mode = BootRegisters::Mode::kProtected32;
  boot.rip = kCode;
  boot.rsp = kStack;
  boot.rbx = 0x1234;
  Must(vcpus->ResetAll(boot));
  Resume();
}

void GuestVm::SetVector(unsigned vector, uint64_t address) {
  SetLongModeVector({ram->host(), kRamBytes}, vector, address);
}

void GuestVm::BootLong(std::span<const char> code) {
  BootRegisters boot = PrepareLongMode({ram->host(), kRamBytes}, kCode, kStack, code);
  boot.rsi = 0x5678;
  Must(vcpus->ResetAll(boot));
  Resume();
}

bool GuestVm::Pause() {
  Signal paused;
  vcpus->PauseAll([&] { paused.Set(); });
  return paused.Wait();
}

GuestVm::Snapshot GuestVm::Save() {
  Snapshot snapshot;
  for (size_t i = 0; i < vcpus->size(); ++i) {
    snapshot.vcpus.push_back(Must(vcpus->at(i).Save()));
  }
  if (!split) {
    snapshot.irqchip = Must(GetIrqchip(*vm));
  }
  snapshot.clock_ns = Must(vm->GetClock());
  snapshot.ram.assign(ram->host(), ram->host() + kRamBytes);
  return snapshot;
}

void GuestVm::Restore(const Snapshot& snapshot, LoadKind kind) {
  std::memcpy(ram->host(), snapshot.ram.data(), snapshot.ram.size());
  if (snapshot.irqchip) {
    Must(SetIrqchip(*vm, *snapshot.irqchip));
  }
  Must(vm->SetClock(snapshot.clock_ns));
  for (size_t i = 0; i < vcpus->size(); ++i) {
    Must(vcpus->at(i).Load(snapshot.vcpus.at(i), kind));
  }
}

void GuestVm::OnTripleFault(unsigned /*index*/) { triple_fault.Set(); }
void GuestVm::OnInternalError(unsigned /*index*/, std::string_view /*why*/) { internal_error.Set(); }
bool GuestVm::TakeDebugExit(unsigned /*index*/, const DebugExit& exit) {
  return debug_exit ? debug_exit(exit) : false;
}
void GuestVm::OnSystemEvent(unsigned /*index*/, SystemEvent /*event*/) { internal_error.Set(); }

}  // namespace nandu
