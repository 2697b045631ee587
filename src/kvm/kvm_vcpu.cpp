#include "kvm/kvm_vcpu.h"

#include <algorithm>
#include <atomic>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/log.h"
#include "kvm/kvm_vm.h"

namespace nandu {

KvmVcpu::KvmVcpu(KvmVm& vm, UniqueFd fd, uint32_t id, kvm_run* run, size_t bytes)
    : vm_(vm), fd_(std::move(fd)), id_(id), run_(run), bytes_(bytes) {}

KvmVcpu::~KvmVcpu() { munmap(run_, bytes_); }

Result<std::unique_ptr<KvmVcpu>> KvmVcpu::Map(KvmVm& vm, UniqueFd fd, uint32_t id) {
  const size_t bytes = vm.kvm().vcpu_mmap_bytes();
  void* const page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) {
    return FailErrno(errno, "cannot map the shared page of vCPU {}", id);
  }
  return std::unique_ptr<KvmVcpu>(new KvmVcpu(vm, std::move(fd), id, static_cast<kvm_run*>(page), bytes));
}

std::span<std::byte> KvmVcpu::IoData() const {
  const uint64_t length = uint64_t{run_->io.size} * run_->io.count;
  if (run_->io.data_offset > bytes_ || length > bytes_ - run_->io.data_offset) {
    return {};
  }
  return {reinterpret_cast<std::byte*>(run_) + run_->io.data_offset, length};
}

int KvmVcpu::Run() { return ioctl(fd_.get(), KVM_RUN, 0) == 0 ? 0 : errno; }

void KvmVcpu::SetImmediateExit(bool on) {
  std::atomic_ref(run_->immediate_exit).store(on ? 1 : 0, std::memory_order_seq_cst);
}

bool KvmVcpu::QueueInterrupt(uint8_t vector) {
  kvm_interrupt interrupt{};
  interrupt.irq = vector;
  if (ioctl(fd_.get(), KVM_INTERRUPT, &interrupt) == 0) {
    return true;
  }
  if (errno != EEXIST) {
    static RateLimitedLog log("external interrupts");
    log.Warn("KVM_INTERRUPT: {}", ErrnoText(errno));
  }
  return false;
}

Result<> KvmVcpu::Get(unsigned long request, void* out, const char* what) const {
  if (ioctl(fd_.get(), request, out) < 0) {
    return FailErrno(errno, "vCPU {}: {}", id_, what);
  }
  return {};
}

Result<> KvmVcpu::Set(unsigned long request, const void* from, const char* what) {
  if (ioctl(fd_.get(), request, from) < 0) {
    return FailErrno(errno, "vCPU {}: {}", id_, what);
  }
  return {};
}

Result<> KvmVcpu::SetCpuid(std::span<const kvm_cpuid_entry2> entries) {
  KvmArray<kvm_cpuid2, kvm_cpuid_entry2> array(entries.size());
  array.header()->nent = static_cast<uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), array.entries());
  return Set(KVM_SET_CPUID2, array.header(), "KVM refuses this CPU model's CPUID");
}

size_t KvmVcpu::GetMsrs(std::span<kvm_msr_entry> entries) const {
  KvmArray<kvm_msrs, kvm_msr_entry> array(entries.size());
  array.header()->nmsrs = static_cast<uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), array.entries());
  const int count = ioctl(fd_.get(), KVM_GET_MSRS, array.header());
  const size_t filled = count > 0 ? static_cast<size_t>(count) : 0;
  std::copy(array.entries(), array.entries() + filled, entries.begin());
  return filled;
}

size_t KvmVcpu::SetMsrs(std::span<const kvm_msr_entry> entries) {
  KvmArray<kvm_msrs, kvm_msr_entry> array(entries.size());
  array.header()->nmsrs = static_cast<uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), array.entries());
  const int count = ioctl(fd_.get(), KVM_SET_MSRS, array.header());
  return count > 0 ? static_cast<size_t>(count) : 0;
}

void KvmVcpu::TellGuestOfPause() {
  if (vm_.has(KVM_CAP_KVMCLOCK_CTRL)) {
    ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0);  // EINVAL: this guest has no kvmclock
  }
}

uint32_t KvmVcpu::TscKhz() const {
  const int khz = vm_.has(KVM_CAP_GET_TSC_KHZ) ? ioctl(fd_.get(), KVM_GET_TSC_KHZ, 0) : 0;
  return khz > 0 ? static_cast<uint32_t>(khz) : 0;
}

Result<> KvmVcpu::SetTscKhz(uint32_t khz) {
  if (ioctl(fd_.get(), KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz)) != 0) {
    return FailErrno(errno, "vCPU {}: KVM_SET_TSC_KHZ {}", id_, khz);
  }
  return {};
}

namespace {
kvm_device_attr TscOffsetAttribute(uint64_t* value) {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<uint64_t>(value);
  return attribute;
}
}  // namespace

bool KvmVcpu::HasTscOffset() const {
  kvm_device_attr attribute = TscOffsetAttribute(nullptr);
  return vm_.has(KVM_CAP_VCPU_ATTRIBUTES) && ioctl(fd_.get(), KVM_HAS_DEVICE_ATTR, &attribute) == 0;
}

Result<uint64_t> KvmVcpu::TscOffset() const {
  uint64_t value = 0;
  kvm_device_attr attribute = TscOffsetAttribute(&value);
  TRY(Get(KVM_GET_DEVICE_ATTR, &attribute, "reading the TSC offset"));
  return value;
}

Result<> KvmVcpu::SetTscOffset(uint64_t offset) {
  kvm_device_attr attribute = TscOffsetAttribute(&offset);
  return Set(KVM_SET_DEVICE_ATTR, &attribute, "setting the TSC offset");
}

}  // namespace nandu
