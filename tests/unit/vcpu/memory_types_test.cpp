#include "vcpu/memory_types.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "vcpu/msrs.h"

namespace nandu {
namespace {

std::vector<kvm_cpuid_entry2> Features(uint32_t edx) {
  kvm_cpuid_entry2 entry{};
  entry.function = 1;
  entry.edx = edx;
  return {entry};
}

uint64_t ValueOf(const std::vector<kvm_msr_entry>& list, uint32_t index) {
  const auto found = std::ranges::find(list, index, &kvm_msr_entry::index);
  return found == list.end() ? ~uint64_t{0} : found->data;
}

constexpr uint32_t kMtrr = 1U << 12;

// The values SeaBIOS leaves in a q35 guest of QEMU 7.2 with 40 bits of physical addresses.
TEST(FirmwareMemoryTypes, AreSeaBiossOnQemusQ35) {
  const auto list = FirmwareMemoryTypes(Features(kMtrr), 0xc0000000, 40);
  EXPECT_EQ(ValueOf(list, 0x250), 0x0606060606060606U);
  EXPECT_EQ(ValueOf(list, 0x258), 0x0606060606060606U);
  EXPECT_EQ(ValueOf(list, 0x259), 0U);
  EXPECT_EQ(ValueOf(list, 0x268), 0x0505050505050505U);
  EXPECT_EQ(ValueOf(list, 0x26f), 0x0505050505050505U);
  EXPECT_EQ(ValueOf(list, 0x200), 0xc0000000U);
  EXPECT_EQ(ValueOf(list, 0x201), 0xffc0000800U);
  EXPECT_EQ(ValueOf(list, 0x2ff), 0xc06U);
}

TEST(FirmwareMemoryTypes, AreEnabledLast) {
  EXPECT_EQ(FirmwareMemoryTypes(Features(kMtrr), 0xc0000000, 40).back().index, msr::kMtrrDefType);
}

TEST(FirmwareMemoryTypes, NothingIsSetWhereTheModelHasNone) {
  EXPECT_TRUE(FirmwareMemoryTypes(Features(0), 0xc0000000, 40).empty());
}

}  // namespace
}  // namespace nandu
