#include "vcpu/machine_check.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr uint64_t kValid = uint64_t{1} << 63;
constexpr uint64_t kUncorrected = uint64_t{1} << 61;
constexpr uint64_t kEnabled = uint64_t{1} << 60;
constexpr uint64_t kMiscValid = uint64_t{1} << 59;
constexpr uint64_t kAddressValid = uint64_t{1} << 58;
constexpr uint64_t kSignalled = uint64_t{1} << 56;
constexpr uint64_t kActionRequired = uint64_t{1} << 55;
constexpr uint64_t kDataLoad = 0x134;        // a data load from memory
constexpr uint64_t kMemoryScrubbing = 0xc0;  // found by the patrol

constexpr uint64_t kRestartValid = 1;
constexpr uint64_t kErrorValid = 2;
constexpr uint64_t kInProgress = 4;

constexpr uint8_t kMemoryBank = 9;
constexpr uint8_t kOthersBank = 1;

}  // namespace

MachineCheck BrokenMemoryCheck(PoisonedMemory::Kind kind, uint64_t guest_address) {
  constexpr uint64_t kPhysical = uint64_t{2} << 6;  // the address' mode
  constexpr uint64_t kPageBits = 12;                // its lowest bit that counts
  MachineCheck check;
  check.bank = kMemoryBank;
  check.status = kValid | kUncorrected | kEnabled | kMiscValid | kAddressValid | kSignalled;
  check.mcg_status = kInProgress;
  check.address = guest_address;
  check.misc = kPhysical | kPageBits;
  if (kind == PoisonedMemory::Kind::kUsed) {
    check.status |= kActionRequired | kDataLoad;
    check.mcg_status |= kErrorValid;
  } else {
    check.status |= kMemoryScrubbing;
    check.mcg_status |= kRestartValid;
  }
  return check;
}

MachineCheck BroadcastCheck() {
  MachineCheck check;
  check.bank = kOthersBank;
  check.status = kValid | kUncorrected;
  check.mcg_status = kInProgress | kRestartValid;
  return check;
}

bool BroadcastsMachineChecks(std::span<const kvm_cpuid_entry2> cpuid) {
  const auto leaf = std::ranges::find(cpuid, 1U, &kvm_cpuid_entry2::function);
  if (leaf == cpuid.end()) {
    return false;
  }
  constexpr uint32_t kExtends = 0xf;
  uint32_t family = leaf->eax >> 8 & 0xf;
  family += family == kExtends ? leaf->eax >> 20 & 0xff : 0;
  const uint32_t model = (leaf->eax >> 4 & 0xf) | (leaf->eax >> 12 & 0xf0);
  constexpr uint32_t kSix = 6, kFirstModel = 14;
  return family > kSix || (family == kSix && model >= kFirstModel);
}

bool TakesMachineChecks(uint64_t mcg_cap) {
  constexpr uint64_t kBanks = 0xff;
  constexpr uint64_t kSoftwareRecovery = 1U << 24;
  return (mcg_cap & kBanks) > kMemoryBank && (mcg_cap & kSoftwareRecovery) != 0;
}

Result<> RaiseMachineCheck(KvmVcpu& kvm, const MachineCheck& check) {
  kvm_x86_mce mce{};
  mce.bank = check.bank;
  mce.status = check.status;
  mce.mcg_status = check.mcg_status;
  mce.addr = check.address;
  mce.misc = check.misc;
  return kvm.Set(KVM_X86_SET_MCE, &mce, "KVM_X86_SET_MCE");
}

}  // namespace nandu
