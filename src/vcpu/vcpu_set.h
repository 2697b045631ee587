// All vCPUs of a VM: made, started, paused and resumed together, and kept out of KVM_RUN while memory slots
// change. Any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "memory/address_space.h"
#include "vcpu/cpu_model.h"
#include "vcpu/cpu_topology.h"
#include "vcpu/vcpu.h"

namespace nandu {

class VcpuSet final : public VcpuBarrier {
 public:
  VcpuSet(AddressSpace& memory, AddressSpace& ports, VcpuObserver& observer);
  ~VcpuSet() override;  // ends the threads

  // vCPUs 0 to count - 1 of a topology (those beyond may be plugged in later). Fails with a sentence when KVM
  // has no room for them.
  Result<> AddAll(KvmVm& vm, const CpuModel& model, const CpuTopology& topology, const HostCpu& host,
                  unsigned count);
  // One of them. Before Start. The first one made boots; the others wait for their SIPI.
  Result<Vcpu*> Add(std::unique_ptr<KvmVcpu> kvm, Vcpu::Config config);
  // Before Start, and after the last vCPU was added.
  void SetExternalInterrupts(ExternalInterrupts* controllers);
  // One thread each, paused. `on_thread` runs first in each (index).
  void Start(const std::function<void(unsigned)>& on_thread = nullptr);

  size_t size() const { return vcpus_.size(); }
  Vcpu& at(size_t index) { return *vcpus_.at(index); }

  // `done` once every vCPU waits, on the thread of the last one or at once in the caller's.
  void PauseAll(UniqueFunction<void()> done);
  void ResumeAll();
  // From outside, into every vCPU whose local APIC takes it (vcpu/nmi.h); any thread, paused or not.
  void InjectNmi();
  // A broken page becomes a machine check of that vCPU, and of the others where their kind hears of all.
  // False: it is not in the guest's map, or the model has no machine checks. Any thread.
  bool ReportPoison(unsigned index, const PoisonedMemory& poison);
  // While all are paused: power-on state; the first one gets `boot`.
  Result<> ResetAll(const BootRegisters& boot);

  // VcpuBarrier. A vCPU that serves an exit is outside and may call them itself; two that would are kept
  // apart by the commit lock.
  void Enter() override;
  void Leave() override;

 private:
  AddressSpace& memory_;
  AddressSpace& ports_;
  VcpuObserver& observer_;
  VcpuGate gate_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

}  // namespace nandu
