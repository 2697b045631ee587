#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "base/log.h"

namespace nandu {
namespace {

// What nandu is built on; all of it is older than Linux 4.12. Everything else is optional.
struct RequiredCap {
  unsigned capability;
  const char* name;
};
constexpr RequiredCap kRequired[] = {
    {KVM_CAP_IRQCHIP, "an in-kernel interrupt controller"},
    {KVM_CAP_USER_MEMORY, "user memory"},
    {KVM_CAP_READONLY_MEM, "read-only memory slots"},
    {KVM_CAP_IRQ_ROUTING, "interrupt routing"},
    {KVM_CAP_MP_STATE, "multiprocessor state"},
    {KVM_CAP_XSAVE, "XSAVE state"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"},
};
constexpr size_t kMaxCpuidEntries = 1024;
constexpr size_t kMaxMsrs = 4096;

}  // namespace

KvmCaps::KvmCaps(int fd) : fd_(fd) {
  for (std::atomic<int32_t>& value : known_) {
    value.store(kUnknown, std::memory_order_relaxed);
  }
}

int KvmCaps::Get(unsigned capability) const {
  if (capability >= kCount) {
    return 0;
  }
  int32_t value = known_[capability].load(std::memory_order_relaxed);
  if (value == kUnknown) {
    const int answer = ioctl(fd_, KVM_CHECK_EXTENSION, capability);
    value = answer > 0 ? answer : 0;
    known_[capability].store(value, std::memory_order_relaxed);
  }
  return value;
}

Kvm::Kvm(UniqueFd fd, size_t vcpu_mmap_bytes)
    : fd_(std::move(fd)), vcpu_mmap_bytes_(vcpu_mmap_bytes), caps_(fd_.get()) {}

Result<std::unique_ptr<Kvm>> Kvm::Open(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    switch (error) {
      case ENOENT:
        return Fail(
            Errc::kNotFound,
            "{} does not exist: load the kvm_intel or kvm_amd module, or turn on virtualization in the "
            "firmware (in a cloud machine: nested virtualization)",
            path);
      case EACCES:
      case EPERM:
        return Fail(Errc::kPermission,
                    "no permission to open {}: add this user to the group that owns it (kvm)", path);
      case ENODEV:
      case ENXIO:
        return Fail(
            Errc::kUnsupported,
            "{} has no hypervisor behind it: this CPU's virtualization is off or in use by another one",
            path);
      default: return FailErrno(error, "cannot open {}", path);
    }
  }
  const int version = ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version < 0) {
    return Fail(Errc::kInvalidArgument, "{} is not KVM", path);
  }
  if (version != KVM_API_VERSION) {
    return Fail(Errc::kUnsupported, "{} speaks version {} of the KVM interface; nandu needs {}", path,
                version, KVM_API_VERSION);
  }
  const int mmap_bytes = ioctl(fd.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (mmap_bytes < static_cast<int>(sizeof(kvm_run))) {
    return FailErrno(errno, "{}: cannot ask for the size of a vCPU's shared page", path);
  }
  std::unique_ptr<Kvm> kvm(new Kvm(std::move(fd), static_cast<size_t>(mmap_bytes)));
  for (const RequiredCap& required : kRequired) {
    if (!kvm->has(required.capability)) {
      return Fail(Errc::kUnsupported, "{} has no support for {}: nandu needs Linux 4.12 or newer", path,
                  required.name);
    }
  }
  return kvm;
}

const std::vector<kvm_cpuid_entry2>& Kvm::SupportedCpuid() const {
  const MutexLock lock(mutex_);
  for (size_t room = 128; cpuid_.empty() && room <= kMaxCpuidEntries; room *= 2) {
    KvmArray<kvm_cpuid2, kvm_cpuid_entry2> array(room);
    array.header()->nent = static_cast<uint32_t>(room);
    if (ioctl(fd(), KVM_GET_SUPPORTED_CPUID, array.header()) == 0) {
      cpuid_.assign(array.entries(), array.entries() + array.header()->nent);
    } else if (errno != E2BIG) {
      Log(LogLevel::kError, "KVM_GET_SUPPORTED_CPUID: {}", ErrnoText(errno));
      break;
    }
  }
  return cpuid_;
}

std::vector<kvm_cpuid_entry2> Kvm::SupportedHyperVCpuid() const {
  constexpr size_t kEntries = 64;  // there are ten
  KvmArray<kvm_cpuid2, kvm_cpuid_entry2> array(kEntries);
  array.header()->nent = kEntries;
  if (!has(KVM_CAP_SYS_HYPERV_CPUID) || ioctl(fd(), KVM_GET_SUPPORTED_HV_CPUID, array.header()) != 0) {
    return {};
  }
  return {array.entries(), array.entries() + array.header()->nent};
}

const std::vector<uint32_t>& Kvm::MsrIndexList() const {
  const MutexLock lock(mutex_);
  for (size_t room = 512; msrs_.empty() && room <= kMaxMsrs; room *= 2) {
    KvmArray<kvm_msr_list, uint32_t> array(room);
    array.header()->nmsrs = static_cast<uint32_t>(room);
    if (ioctl(fd(), KVM_GET_MSR_INDEX_LIST, array.header()) == 0) {
      msrs_.assign(array.entries(), array.entries() + array.header()->nmsrs);
    } else if (errno != E2BIG) {
      Log(LogLevel::kError, "KVM_GET_MSR_INDEX_LIST: {}", ErrnoText(errno));
      break;
    }
  }
  return msrs_;
}

std::optional<uint64_t> Kvm::FeatureMsr(uint32_t index) const {
  if (!has(KVM_CAP_GET_MSR_FEATURES)) {
    return std::nullopt;
  }
  KvmArray<kvm_msrs, kvm_msr_entry> array(1);
  array.header()->nmsrs = 1;
  array.entries()[0].index = index;
  if (ioctl(fd(), KVM_GET_MSRS, array.header()) != 1) {
    return std::nullopt;
  }
  return array.entries()[0].data;
}

uint64_t Kvm::SupportedXcr0() const {
  uint64_t bits = 0;
  kvm_device_attr attribute{};
  attribute.group = 0;
  attribute.attr = KVM_X86_XCOMP_GUEST_SUPP;
  attribute.addr = reinterpret_cast<uint64_t>(&bits);
  if (!has(KVM_CAP_SYS_ATTRIBUTES) || ioctl(fd(), KVM_GET_DEVICE_ATTR, &attribute) != 0) {
    return 0;
  }
  return bits;
}

}  // namespace nandu
