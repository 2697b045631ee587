#include "vcpu/msrs.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr size_t kBatch = 256;  // the most one ioctl takes
constexpr unsigned kMachineCheckBanks = 10;
constexpr unsigned kVariableMtrrs = 8;

constexpr uint32_t kEdxMce = 1U << 7;
constexpr uint32_t kEdxMtrr = 1U << 12;
constexpr uint32_t kEdxMca = 1U << 14;

bool IsHyperV(uint32_t index) { return index >= 0x40000000 && index < 0x40000200; }

void Add(std::vector<uint32_t>* list, uint32_t first, uint32_t count = 1) {
  for (uint32_t i = 0; i < count; ++i) {
    if (std::find(list->begin(), list->end(), first + i) == list->end()) {
      list->push_back(first + i);
    }
  }
}

}  // namespace

const kvm_cpuid_entry2* FindCpuid(std::span<const kvm_cpuid_entry2> cpuid, uint32_t function,
                                  uint32_t index) {
  for (const kvm_cpuid_entry2& entry : cpuid) {
    if (entry.function == function &&
        (entry.index == index || (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0)) {
      return &entry;
    }
  }
  return nullptr;
}

std::vector<uint32_t> MsrsToSave(const Kvm& kvm, std::span<const kvm_cpuid_entry2> cpuid) {
  std::vector<uint32_t> list;
  for (const uint32_t index : kvm.MsrIndexList()) {
    if (!IsHyperV(index)) {  // no model offers Hyper-V's interface
      Add(&list, index);
    }
  }
  const kvm_cpuid_entry2* features = FindCpuid(cpuid, 1);
  const uint32_t edx = features != nullptr ? features->edx : 0;
  if ((edx & kEdxMtrr) != 0) {
    Add(&list, msr::kMtrrFix64k);
    Add(&list, msr::kMtrrFix16k, 2);
    Add(&list, msr::kMtrrFix4k, 8);
    Add(&list, msr::kMtrrPhysBase0, 2 * kVariableMtrrs);
    Add(&list, msr::kMtrrDefType);  // enables the others, so it comes after them
  }
  if ((edx & kEdxMce) != 0 && (edx & kEdxMca) != 0) {
    Add(&list, msr::kMcgStatus, 2);
    Add(&list, msr::kMc0Ctl, 4 * kMachineCheckBanks);
  }
  return list;
}

std::vector<kvm_msr_entry> GetMsrsTolerantly(const KvmVcpu& vcpu, std::vector<uint32_t>* indices) {
  std::vector<kvm_msr_entry> entries;
  size_t next = 0;
  while (next < indices->size()) {
    std::vector<kvm_msr_entry> batch(std::min(kBatch, indices->size() - next));
    for (size_t i = 0; i < batch.size(); ++i) {
      batch[i].index = (*indices)[next + i];
    }
    const size_t read = std::min(vcpu.GetMsrs(batch), batch.size());
    entries.insert(entries.end(), batch.begin(), batch.begin() + static_cast<ptrdiff_t>(read));
    next += read;
    if (read < batch.size()) {
      indices->erase(indices->begin() + static_cast<ptrdiff_t>(next));
    }
  }
  return entries;
}

std::vector<uint32_t> SetMsrsTolerantly(KvmVcpu& vcpu, std::span<const kvm_msr_entry> entries) {
  std::vector<uint32_t> refused;
  while (!entries.empty()) {
    const std::span<const kvm_msr_entry> batch = entries.subspan(0, std::min(kBatch, entries.size()));
    const size_t set = std::min(vcpu.SetMsrs(batch), batch.size());
    entries = entries.subspan(set);
    if (set < batch.size()) {
      kvm_msr_entry now{};
      now.index = entries.front().index;
      const bool known = vcpu.GetMsrs({&now, 1}) == 1;
      // A register this kernel does not know and whose value is the reset value is no loss.
      if (known ? now.data != entries.front().data : entries.front().data != 0) {
        refused.push_back(now.index);
      }
      entries = entries.subspan(1);
    }
  }
  return refused;
}

}  // namespace nandu
