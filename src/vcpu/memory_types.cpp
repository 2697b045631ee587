#include "vcpu/memory_types.h"

#include "base/check.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr uint32_t kEdxMtrr = 1U << 12;
constexpr uint64_t kFourGiB = uint64_t{1} << 32;

constexpr uint64_t kUncached = 0;
constexpr uint64_t kWriteProtected = 5;
constexpr uint64_t kWriteBack = 6;
constexpr uint64_t kValid = 1U << 11;    // IA32_MTRR_PHYSMASKn
constexpr uint64_t kEnabled = 3U << 10;  // IA32_MTRR_DEF_TYPE: variable and fixed ranges
constexpr uint32_t kFix4kRegisters = 8;

// A fixed-range register names the types of eight ranges, a byte each.
constexpr uint64_t Eight(uint64_t type) { return type * 0x0101010101010101; }

kvm_msr_entry Entry(uint32_t index, uint64_t value) {
  kvm_msr_entry entry{};
  entry.index = index;
  entry.data = value;
  return entry;
}

}  // namespace

std::vector<kvm_msr_entry> FirmwareMemoryTypes(std::span<const kvm_cpuid_entry2> cpuid, uint64_t pci_hole,
                                               unsigned phys_bits) {
  const kvm_cpuid_entry2* const features = FindCpuid(cpuid, 1);
  if (features == nullptr || (features->edx & kEdxMtrr) == 0) {
    return {};
  }
  const uint64_t hole_bytes = kFourGiB - pci_hole;
  NANDU_CHECK((hole_bytes & (hole_bytes - 1)) == 0, "one register describes the PCI hole");
  const uint64_t addresses = (uint64_t{1} << phys_bits) - 1;
  std::vector<kvm_msr_entry> list = {
      Entry(msr::kMtrrFix64k, Eight(kWriteBack)),     // 0 to 512 KiB
      Entry(msr::kMtrrFix16k, Eight(kWriteBack)),     // to 640 KiB
      Entry(msr::kMtrrFix16k + 1, Eight(kUncached)),  // VGA
  };
  for (uint32_t i = 0; i < kFix4kRegisters; ++i) {
    list.push_back(Entry(msr::kMtrrFix4k + i, Eight(kWriteProtected)));  // option ROMs and BIOS
  }
  list.push_back(Entry(msr::kMtrrPhysBase0, pci_hole | kUncached));
  list.push_back(Entry(msr::kMtrrPhysBase0 + 1, (~(hole_bytes - 1) & addresses) | kValid));
  list.push_back(Entry(msr::kMtrrDefType, kEnabled | kWriteBack));
  return list;
}

}  // namespace nandu
