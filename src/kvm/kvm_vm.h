// One KVM virtual machine: its fd, the in-kernel interrupt controllers and timer, the guest clock. Any
// thread; the kernel serialises. Specification: Linux Documentation/virt/kvm/api.rst, "VM ioctls".
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kvm/kvm.h"

namespace nandu {

class KvmVcpu;

class KvmVm {
 public:
  struct Options {
    // Four pages below the firmware that real mode on Intel without unrestricted guest needs: identity map,
    // then TSS. The guest's memory map must call [reserved_base, reserved_base + 0x4000) reserved.
    static constexpr uint64_t kReservedBase = 0xfeffc000;
    // Who has the 8259s, the 8254 and the IOAPIC; the local APICs are always KVM's.
    enum class Irqchip : uint8_t { kKernel, kSplit };
    static constexpr unsigned kSplitPins = 24;  // GSIs that are an IOAPIC's outside KVM
    Irqchip irqchip = Irqchip::kKernel;
    bool x2apic_ids = false;  // APIC IDs above 254, 32-bit destinations
  };
  static Result<std::unique_ptr<KvmVm>> Create(Kvm& kvm, const Options& options);
  // The kernel's interval timer forgets ticks that came while the guest could not take them; without, it
  // makes up for them one after the other. Before a vCPU runs; not with kSplit.
  Result<> DiscardLostTicks();
  ~KvmVm();
  KvmVm(const KvmVm&) = delete;
  KvmVm& operator=(const KvmVm&) = delete;

  Kvm& kvm() const { return kvm_; }
  int fd() const { return fd_.get(); }
  int cap(unsigned capability) const {
    return caps_.Get(capability);
  }  // of this VM, which may differ from the system's
  bool has(unsigned capability) const { return caps_.Get(capability) > 0; }

  // Fails with a sentence when there are too many. `id` is the APIC ID.
  Result<std::unique_ptr<KvmVcpu>> CreateVcpu(uint32_t id);
  unsigned max_vcpus() const;    // KVM_CAP_MAX_VCPUS
  uint32_t max_vcpu_id() const;  // ids are below it

  Result<> EnableCap(uint32_t capability, uint64_t arg0 = 0);
  // An ioctl whose failure is a sentence beginning with `what`.
  Result<> Call(unsigned long request, void* argument, const char* what) const;

  // kvmclock, in nanoseconds since the guest's boot.
  Result<uint64_t> GetClock() const;
  Result<> SetClock(uint64_t ns);

 private:
  KvmVm(Kvm& kvm, UniqueFd fd);
  Result<> CreateControllers(Options::Irqchip irqchip);
  Kvm& kvm_;
  const UniqueFd fd_;
  KvmCaps caps_;
};

}  // namespace nandu
