// What a board needs of KVM: the VM with its interrupt controllers, RAM at its place, the address spaces that
// follow, and the vCPUs. Control thread, apart from what its parts say of themselves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/vcpu_registers.h>

#include "base/lost_memory.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "boot/firmware_rom.h"
#include "kvm/ioevent_listener.h"
#include "kvm/irq_router.h"
#include "kvm/kvm.h"
#include "kvm/kvm_vm.h"
#include "kvm/memory_listener.h"
#include "kvm/msi.h"
#include "machine/config.h"
#include "machine/irqchip.h"
#include "machine/memory_map.h"
#include "machine/ram.h"
#include "machine/shadow_ram.h"
#include "memory/address_space.h"
#include "state/state.h"
#include "vcpu/cpu_model.h"
#include "vcpu/cpu_topology.h"
#include "vcpu/vcpu_set.h"

namespace nandu {

class KvmBoard final : private VcpuObserver {
 public:
  // What the guest did to itself; on the vCPU's thread.
  struct Events {
    std::function<void()> triple_fault;
    std::function<void(std::string_view why)> internal_error;
    std::function<void(SystemEvent event)> system_event;
    std::function<bool(unsigned cpu, const DebugExit& exit)> take_debug_exit;  // see VcpuObserver
    std::function<void()> debug_stop;
  };
  // `rom`: firmware to map, or null.
  static Result<std::unique_ptr<KvmBoard>> Create(const MachineConfig& config, const BoardRam& ram,
                                                  const FirmwareRom* rom);
  ~KvmBoard() override;

  void SetEvents(Events events) { events_ = std::move(events); }  // before the first vCPU runs

  AddressSpace& memory() { return memory_; }
  AddressSpace& ports() { return ports_; }
  KvmVm& vm() { return *vm_; }
  MsiAllocator& msi() { return *msi_; }
  // The interrupt controllers are made once there is a host for devices, and before what raises interrupts.
  Result<> MakeIrqchip(DeviceHost& host);
  Irqchip& irqchip() { return *irqchip_; }
  VcpuSet& vcpus() { return *vcpus_; }
  // Of the vCPU that the calling thread serves an exit of (nandu/vcpu_registers.h).
  static std::shared_ptr<VcpuRegisters> exit_registers();
  ShadowRam& shadow_ram() { return shadow_ram_; }
  const MemoryMap& map() const { return map_; }
  const CpuModel& cpu() const { return cpu_; }
  const CpuTopology& topology() const { return topology_; }

  // vCPUs paused: interrupt controllers, timer and vCPUs as after power-on; the first vCPU gets `boot`.
  Result<> Reset(const BootRegisters& boot);
  // kvmclock stands still while the guest does; vCPUs paused.
  void FreezeClock();
  void ThawClock();
  // A page that nobody has used yet is broken: the first vCPU hears of it, where its model can.
  void ReportFoundPoison(const void* at);
  void StopVcpus();  // ends their threads; nothing runs afterwards

  Result<> Save(const StateWriter& writer) const;  // controllers, clock and every vCPU, paused
  Result<> Load(const StateReader& reader);

 private:
  KvmBoard();
  Result<> CreateVm(const MachineConfig& config);
  Result<> PlaceMemory(uint64_t ram_bytes, const HostCpu& host);
  Result<> MapMemory(const BoardRam& ram, const FirmwareRom* rom);
  Result<> MapRam(const BoardRam& ram);
  Result<> CreateVcpus(const MachineConfig& config, const HostCpu& host);
  void SetMemoryTypes();

  void OnTripleFault(unsigned index) override;
  void OnInternalError(unsigned index, std::string_view why) override;
  void OnSystemEvent(unsigned index, SystemEvent event) override;
  bool TakeDebugExit(unsigned index, const DebugExit& exit) override;
  void OnDebugStop(unsigned index) override;
  bool TakePoison(unsigned index, const PoisonedMemory& poison) override;
  void RenewBrokenMemory();

  Events events_;
  std::unique_ptr<Kvm> kvm_;
  std::unique_ptr<KvmVm> vm_;
  AddressSpace memory_;
  AddressSpace ports_;
  std::unique_ptr<KvmMemoryListener> slots_;
  std::unique_ptr<KvmIoEventListener> memory_events_;
  std::unique_ptr<KvmIoEventListener> port_events_;
  std::unique_ptr<KvmIrqRouter> router_;
  std::unique_ptr<KvmMsiAllocator> msi_;
  KvmVm::Options::Irqchip irqchip_kind_ = KvmVm::Options::Irqchip::kKernel;
  MemoryMap map_;
  CpuModel cpu_;
  CpuTopology topology_;
  std::vector<Mapping> mappings_;  // RAM and ROM
  ShadowRam shadow_ram_;
  std::unique_ptr<VcpuSet> vcpus_;
  std::unique_ptr<Irqchip> irqchip_;
  std::optional<uint64_t> frozen_clock_ns_;
  Mutex broken_mutex_;                                                   // a leaf
  std::vector<const void*> broken_ NANDU_TA(guarded_by(broken_mutex_));  // pages of the host, until a reset
};

}  // namespace nandu
