#include "vcpu/vcpu_set.h"

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "base/trace.h"
#include "kvm/kvm_vm.h"
#include "vcpu/cpuid.h"

namespace nandu {

VcpuSet::VcpuSet(AddressSpace& memory, AddressSpace& ports, VcpuObserver& observer)
    : memory_(memory), ports_(ports), observer_(observer) {}

VcpuSet::~VcpuSet() {
  // All are told before the first is waited for.
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->Pause([] {});
  }
  vcpus_.clear();
}

Result<Vcpu*> VcpuSet::Add(std::unique_ptr<KvmVcpu> kvm, Vcpu::Config config) {
  std::unique_ptr<Vcpu> vcpu =
      TRY(Vcpu::Create(std::move(kvm), std::move(config), memory_, ports_, gate_, observer_));
  vcpus_.push_back(std::move(vcpu));
  return vcpus_.back().get();
}

Result<> VcpuSet::AddAll(KvmVm& vm, const CpuModel& model, const CpuTopology& topology, const HostCpu& host,
                         unsigned count) {
  if (count > vm.max_vcpus()) {
    return Fail(Errc::kInvalidArgument,
                "{} vCPUs are more than this host's KVM has room for ({}); use a smaller -smp", count,
                vm.max_vcpus());
  }
  for (unsigned index = 0; index < count; ++index) {
    std::unique_ptr<KvmVcpu> kvm = TRY(vm.CreateVcpu(topology.ApicId(index)));
    Vcpu::Config config;
    config.index = index;
    config.tsc_khz = model.tsc_khz;
    config.cpuid =
        BuildCpuid(model, topology, host, index, model.tsc_khz != 0 ? model.tsc_khz : kvm->TscKhz());
    config.msrs = model.msrs;
    config.mcg_cap = model.mcg_cap;
    config.enforce_pv_features = model.options.kvm_pv_enforce_cpuid;
    const HyperVOptions& hyperv = model.options.hyperv;
    config.enforce_hyperv = hyperv.enforce_cpuid && hyperv.shown();
    config.synic = hyperv.Has(Enlightenment::kSynic);
    constexpr unsigned kApic = 9;
    config.apic_enabled = count > 1 || model.features.Has(FeatureWord::k1Edx, kApic);
    TRY(Add(std::move(kvm), std::move(config)));
  }
  return {};
}

void VcpuSet::SetExternalInterrupts(ExternalInterrupts* controllers) {
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->SetExternalInterrupts(controllers);
  }
}

void VcpuSet::Start(const std::function<void(unsigned)>& on_thread) {
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    if (on_thread) {
      vcpu->Start([on_thread, index = vcpu->index()] { on_thread(index); });
    } else {
      vcpu->Start();
    }
  }
}

void VcpuSet::PauseAll(UniqueFunction<void()> done) {
  Trace(TraceEvent::kVcpusPause, "{} vCPUs", vcpus_.size());
  struct Wait {
    std::atomic<size_t> left;
    UniqueFunction<void()> done;
  };
  // One more than the vCPUs, so that `done` runs once even when all are paused, or there are none.
  auto wait = std::make_shared<Wait>();
  wait->left = vcpus_.size() + 1;
  wait->done = std::move(done);
  const auto count_down = [wait] {
    if (wait->left.fetch_sub(1) == 1) {
      wait->done();
    }
  };
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->Pause(count_down);
  }
  count_down();
}

void VcpuSet::InjectNmi() {
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->InjectNmi();
  }
}

bool VcpuSet::ReportPoison(unsigned index, const PoisonedMemory& poison) {
  const std::shared_ptr<const FlatView> view = memory_.view();
  const auto* const at_host = static_cast<const std::byte*>(poison.at);
  const auto range = std::ranges::find_if(view->memory()->ranges(), [at_host](const RamRange& each) {
    const std::byte* const begin = each.block->host() + each.block_offset;
    return at_host >= begin && at_host < begin + each.size;
  });
  if (range == view->memory()->ranges().end() || !at(index).takes_machine_checks()) {
    return false;
  }
  const uint64_t address =
      range->base + static_cast<uint64_t>(at_host - (range->block->host() + range->block_offset));
  Log(LogLevel::kWarning, "memory of the host is broken; the guest gets a machine check for address {:#x}",
      address);
  at(index).InjectMachineCheck(BrokenMemoryCheck(poison.kind, address));
  if (BroadcastsMachineChecks(at(index).cpuid())) {
    for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
      if (vcpu->index() != index) {
        vcpu->InjectMachineCheck(BroadcastCheck());
      }
    }
  }
  return true;
}

void VcpuSet::ResumeAll() {
  Trace(TraceEvent::kVcpusResume, "{} vCPUs", vcpus_.size());
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->Resume();
  }
}

Result<> VcpuSet::ResetAll(const BootRegisters& boot) {
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    TRY(vcpu->Reset(vcpu == vcpus_.front() ? boot : BootRegisters{}));
  }
  return {};
}

void VcpuSet::Enter() {
  gate_.Close();
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->Expel();
  }
  for (const std::unique_ptr<Vcpu>& vcpu : vcpus_) {
    vcpu->WaitOutside();
  }
}

void VcpuSet::Leave() { gate_.Open(); }

}  // namespace nandu
