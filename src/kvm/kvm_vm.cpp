#include "kvm/kvm_vm.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "kvm/kvm_vcpu.h"

namespace nandu {

KvmVm::KvmVm(Kvm& kvm, UniqueFd fd) : kvm_(kvm), fd_(std::move(fd)), caps_(fd_.get()) {}
KvmVm::~KvmVm() = default;

Result<std::unique_ptr<KvmVm>> KvmVm::Create(Kvm& kvm, const Options& options) {
  int fd = -1;
  do {
    fd = ioctl(kvm.fd(), KVM_CREATE_VM, 0);  // may be interrupted while the host is short of memory
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    return FailErrno(errno, "KVM cannot create a virtual machine");
  }
  std::unique_ptr<KvmVm> vm(new KvmVm(kvm, UniqueFd(fd)));
  uint64_t identity_map = Options::kReservedBase;
  if (vm->has(KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
    TRY(vm->Call(KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "KVM_SET_IDENTITY_MAP_ADDR"));
  }
  if (vm->has(KVM_CAP_SET_TSS_ADDR) && ioctl(fd, KVM_SET_TSS_ADDR, Options::kReservedBase + 0x1000) != 0) {
    return FailErrno(errno, "KVM_SET_TSS_ADDR");
  }
  TRY(vm->CreateControllers(options.irqchip));
  if (options.x2apic_ids) {
    if (!vm->has(KVM_CAP_X2APIC_API)) {
      return Fail(Errc::kUnsupported, "this kernel's KVM has no APIC IDs above 254; use fewer vCPUs");
    }
    TRY(vm->EnableCap(KVM_CAP_X2APIC_API,
                      KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK));
  }
  // Pending exceptions and triple faults are told apart from delivered ones, so that they can be saved.
  if (vm->has(KVM_CAP_EXCEPTION_PAYLOAD)) {
    TRY(vm->EnableCap(KVM_CAP_EXCEPTION_PAYLOAD, 1));
  }
  if (vm->has(KVM_CAP_X86_TRIPLE_FAULT_EVENT)) {
    TRY(vm->EnableCap(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1));
  }
  return vm;
}

Result<> KvmVm::CreateControllers(Options::Irqchip irqchip) {
  if (irqchip == Options::Irqchip::kSplit) {
    if (!has(KVM_CAP_SPLIT_IRQCHIP)) {
      return Fail(Errc::kUnsupported, "this kernel's KVM has no split irqchip; use kernel-irqchip=on");
    }
    return EnableCap(KVM_CAP_SPLIT_IRQCHIP, Options::kSplitPins);
  }
  TRY(Call(KVM_CREATE_IRQCHIP, nullptr, "KVM cannot create its interrupt controllers"));
  kvm_pit_config config{};
  config.flags = KVM_PIT_SPEAKER_DUMMY;  // port 0x61 as well
  return Call(KVM_CREATE_PIT2, &config, "KVM cannot create its interval timer");
}

Result<> KvmVm::DiscardLostTicks() {
  if (!has(KVM_CAP_REINJECT_CONTROL)) {
    return Fail(Errc::kUnsupported,
                "this kernel's KVM cannot discard lost timer ticks; leave "
                "lost_tick_policy=discard out");
  }
  kvm_reinject_control control{};
  control.pit_reinject = 0;
  return Call(KVM_REINJECT_CONTROL, &control, "KVM_REINJECT_CONTROL");
}

Result<> KvmVm::Call(unsigned long request, void* argument, const char* what) const {
  if (ioctl(fd(), request, argument) < 0) {
    return FailErrno(errno, "{}", what);
  }
  return {};
}

Result<> KvmVm::EnableCap(uint32_t capability, uint64_t arg0) {
  kvm_enable_cap enable{};
  enable.cap = capability;
  enable.args[0] = arg0;
  if (ioctl(fd(), KVM_ENABLE_CAP, &enable) != 0) {
    return FailErrno(errno, "KVM_ENABLE_CAP {}", capability);
  }
  return {};
}

unsigned KvmVm::max_vcpus() const {
  if (const int count = cap(KVM_CAP_MAX_VCPUS); count > 0) {
    return static_cast<unsigned>(count);
  }
  const int recommended = cap(KVM_CAP_NR_VCPUS);
  return recommended > 0 ? static_cast<unsigned>(recommended) : 4;  // api.rst: 4 when neither is told
}

uint32_t KvmVm::max_vcpu_id() const {
  const int count = cap(KVM_CAP_MAX_VCPU_ID);
  return count > 0 ? static_cast<uint32_t>(count) : max_vcpus();
}

Result<std::unique_ptr<KvmVcpu>> KvmVm::CreateVcpu(uint32_t id) {
  if (id >= max_vcpu_id()) {
    return Fail(Errc::kInvalidArgument,
                "APIC ID {} is beyond this host's KVM (it has {}); use fewer vCPUs or another topology", id,
                max_vcpu_id());
  }
  const int fd = ioctl(this->fd(), KVM_CREATE_VCPU, static_cast<unsigned long>(id));
  if (fd < 0) {
    return FailErrno(errno, "KVM cannot create the vCPU with APIC ID {}", id);
  }
  return KvmVcpu::Map(*this, UniqueFd(fd), id);
}

Result<uint64_t> KvmVm::GetClock() const {
  kvm_clock_data data{};
  TRY(Call(KVM_GET_CLOCK, &data, "KVM_GET_CLOCK"));
  return data.clock;
}

Result<> KvmVm::SetClock(uint64_t ns) {
  kvm_clock_data data{};
  data.clock = ns;
  return Call(KVM_SET_CLOCK, &data, "KVM_SET_CLOCK");
}

}  // namespace nandu
