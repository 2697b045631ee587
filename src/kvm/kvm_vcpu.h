// One KVM vCPU's fd and its shared page. Whoever runs it owns it: every call from one thread at a time.
// Specification: Linux Documentation/virt/kvm/api.rst, "vcpu ioctls" and "The kvm_run structure".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kvm/kvm_abi.h"

namespace nandu {

class KvmVm;

class KvmVcpu {
 public:
  static Result<std::unique_ptr<KvmVcpu>> Map(KvmVm& vm, UniqueFd fd, uint32_t id);
  ~KvmVcpu();
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  uint32_t id() const { return id_; }  // APIC ID
  KvmVm& vm() const { return vm_; }
  kvm_run* run() const { return run_; }
  // The bytes of a port I/O exit; empty when the kernel's offset lies outside the shared page.
  std::span<std::byte> IoData() const;

  // KVM_RUN: 0, or the errno it failed with. EINTR is what a kick gives.
  int Run();
  // Any thread: the next KVM_RUN, or the one that is being entered, returns EINTR at once.
  void SetImmediateExit(bool on);

  // An interrupt of controllers outside KVM (split irqchip). False: the one before waits in KVM still.
  bool QueueInterrupt(uint8_t vector);

  Result<> Get(unsigned long request, void* out, const char* what) const;
  Result<> Set(unsigned long request, const void* from, const char* what);
  Result<> SetCpuid(std::span<const kvm_cpuid_entry2> entries);
  // How many of the entries KVM took or filled before the first it refused.
  size_t GetMsrs(std::span<kvm_msr_entry> entries) const;
  size_t SetMsrs(std::span<const kvm_msr_entry> entries);
  // A guest with kvmclock learns that it stood still, so that its watchdogs do not take it for a hang.
  void TellGuestOfPause();
  uint32_t TscKhz() const;  // 0: unknown
  Result<> SetTscKhz(uint32_t khz);
  bool HasTscOffset() const;
  Result<uint64_t> TscOffset() const;
  Result<> SetTscOffset(uint64_t offset);

 private:
  KvmVcpu(KvmVm& vm, UniqueFd fd, uint32_t id, kvm_run* run, size_t bytes);
  KvmVm& vm_;
  const UniqueFd fd_;
  const uint32_t id_;
  kvm_run* const run_;
  const size_t bytes_;
};

}  // namespace nandu
