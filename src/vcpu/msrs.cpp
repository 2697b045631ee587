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

// Hyper-V's registers (TLFS 6.0b, appendix C). KVM's list names some of them, whether the guest has them or
// not.
bool IsHyperV(uint32_t index) { return index >= 0x40000000 && index < 0x40000200; }
constexpr uint32_t kHyperVInterface = 0x31237648;  // "Hv#1"
constexpr uint32_t kGuestOsId = 0x40000000;
constexpr uint32_t kHypercallPage = 0x40000001;
constexpr uint32_t kVpIndex = 0x40000002;
constexpr uint32_t kVpRuntime = 0x40000010;
constexpr uint32_t kReferenceTsc = 0x40000021;
constexpr uint32_t kVpAssistPage = 0x40000073;
constexpr uint32_t kSynicControl = 0x40000080, kSynicEventPage = 0x40000082, kSynicMessagePage = 0x40000083;
constexpr uint32_t kSynicInterrupts = 0x40000090, kSynicInterruptCount = 16;
constexpr uint32_t kSyntheticTimers = 0x400000b0, kSyntheticTimerCount = 4;  // configuration and count each
constexpr uint32_t kCrashParameters = 0x40000100, kCrashParameterCount = 5;
constexpr uint32_t kReenlightenment = 0x40000106, kReenlightenmentCount = 3;

void Add(std::vector<uint32_t>* list, uint32_t first, uint32_t count = 1) {
  for (uint32_t i = 0; i < count; ++i) {
    if (std::find(list->begin(), list->end(), first + i) == list->end()) {
      list->push_back(first + i);
    }
  }
}

// In the order in which they may be set: a timer that is on needs its message page.
void AddHyperV(std::vector<uint32_t>* list, uint32_t features) {
  constexpr uint32_t kSynic = 1U << 2, kTimers = 1U << 3;  // TLFS 6.0b, 2.4.4
  for (const uint32_t index :
       {kGuestOsId, kHypercallPage, kVpIndex, kVpRuntime, kReferenceTsc, kVpAssistPage}) {
    Add(list, index);
  }
  Add(list, kCrashParameters, kCrashParameterCount);
  Add(list, kReenlightenment, kReenlightenmentCount);
  if ((features & kSynic) != 0) {
    Add(list, kSynicControl);
    Add(list, kSynicEventPage);
    Add(list, kSynicMessagePage);
    Add(list, kSynicInterrupts, kSynicInterruptCount);
  }
  if ((features & kTimers) != 0) {
    Add(list, kSyntheticTimers, 2 * kSyntheticTimerCount);
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
    if (!IsHyperV(index)) {
      Add(&list, index);
    }
  }
  const kvm_cpuid_entry2* interface = FindCpuid(cpuid, 0x40000001);
  const kvm_cpuid_entry2* hyperv = FindCpuid(cpuid, 0x40000003);
  if (interface != nullptr && hyperv != nullptr && interface->eax == kHyperVInterface) {
    AddHyperV(&list, hyperv->eax);
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
