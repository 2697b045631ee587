// /dev/kvm: opened once per process and asked what this kernel can do. Any thread.
// Specification: Linux Documentation/virt/kvm/api.rst, "System ioctls".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "kvm/kvm_abi.h"

namespace nandu {

// The answers of KVM_CHECK_EXTENSION on one fd, asked for once each.
class KvmCaps {
 public:
  explicit KvmCaps(int fd);
  int Get(unsigned capability) const;  // 0: absent

 private:
  static constexpr size_t kCount = 256;
  static constexpr int32_t kUnknown = -1;
  const int fd_;
  mutable std::array<std::atomic<int32_t>, kCount> known_;
};

class Kvm {
 public:
  // Fails with a sentence that says what to do: no KVM, no permission, too old a kernel.
  static Result<std::unique_ptr<Kvm>> Open(const std::string& path = "/dev/kvm");

  int fd() const { return fd_.get(); }
  int cap(unsigned capability) const { return caps_.Get(capability); }
  bool has(unsigned capability) const { return caps_.Get(capability) > 0; }
  size_t vcpu_mmap_bytes() const { return vcpu_mmap_bytes_; }

  // Lists that are fetched when first asked for.
  const std::vector<kvm_cpuid_entry2>& SupportedCpuid() const;
  // Hyper-V's leaves of CPUID, as far as KVM can be Hyper-V; empty where it cannot, or cannot say so without
  // a vCPU.
  std::vector<kvm_cpuid_entry2> SupportedHyperVCpuid() const;
  const std::vector<uint32_t>& MsrIndexList() const;  // what is saved and restored
  std::optional<uint64_t> FeatureMsr(
      uint32_t index) const;  // KVM_GET_MSRS on the system: arch capabilities, VMX ...
  // XCR0 bits a guest may use that need the process's permission (AMX); 0 where KVM has no such attribute.
  uint64_t SupportedXcr0() const;

 private:
  Kvm(UniqueFd fd, size_t vcpu_mmap_bytes);
  const UniqueFd fd_;
  const size_t vcpu_mmap_bytes_;
  KvmCaps caps_;
  mutable Mutex mutex_;
  mutable std::vector<kvm_cpuid_entry2> cpuid_ NANDU_TA(guarded_by(mutex_));
  mutable std::vector<uint32_t> msrs_ NANDU_TA(guarded_by(mutex_));
};

// Bytes of a KVM structure that ends in a flexible array, suitably aligned and zeroed.
template <class Header, class Entry>
class KvmArray {
 public:
  explicit KvmArray(size_t entries)
      : words_((sizeof(Header) + entries * sizeof(Entry) + sizeof(uint64_t) - 1) / sizeof(uint64_t)) {}
  Header* header() { return reinterpret_cast<Header*>(words_.data()); }
  Entry* entries() {
    return reinterpret_cast<Entry*>(reinterpret_cast<char*>(words_.data()) + sizeof(Header));
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace nandu
