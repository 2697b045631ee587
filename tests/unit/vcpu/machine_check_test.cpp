#include "vcpu/machine_check.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

// What QEMU 7.2's guests find in bank 9; Linux 6.1 knows both ("Data load in error containment", "Memory
// scrubbing").
TEST(MachineCheck, NamesTheBrokenPage) {
  const MachineCheck used = BrokenMemoryCheck(PoisonedMemory::Kind::kUsed, 0x1234000);
  EXPECT_EQ(used.bank, 9);
  EXPECT_EQ(used.status, 0xbd80000000000134U);
  EXPECT_EQ(used.mcg_status, 6U);
  EXPECT_EQ(used.address, 0x1234000U);
  EXPECT_EQ(used.misc, 0x8cU);
  const MachineCheck found = BrokenMemoryCheck(PoisonedMemory::Kind::kFound, 0x1234000);
  EXPECT_EQ(found.status, 0xbd000000000000c0U);
  EXPECT_EQ(found.mcg_status, 5U);
}

TEST(MachineCheck, OtherProcessorsHearOfItWhereTheirKindDoes) {
  EXPECT_EQ(BroadcastCheck().bank, 1);
  EXPECT_EQ(BroadcastCheck().status, 0xa000000000000000U);
  EXPECT_EQ(BroadcastCheck().mcg_status, 5U);
  kvm_cpuid_entry2 leaf{};
  leaf.function = 1;
  const auto broadcasts = [&leaf](uint32_t signature) {
    leaf.eax = signature;
    return BroadcastsMachineChecks({&leaf, 1});
  };
  EXPECT_TRUE(broadcasts(0x000306a9)) << "family 6, model 0x3a";
  EXPECT_FALSE(broadcasts(0x00000663)) << "family 6, model 6";
  EXPECT_TRUE(broadcasts(0x00800f11)) << "family 0x17";
  EXPECT_FALSE(broadcasts(0x00000543));
  EXPECT_FALSE(BroadcastsMachineChecks({}));
}

TEST(MachineCheck, TakesBanksAndSoftwareRecovery) {
  EXPECT_TRUE(TakesMachineChecks(0x100010a));
  EXPECT_FALSE(TakesMachineChecks(0x10a)) << "no recovery";
  EXPECT_FALSE(TakesMachineChecks(0x1000109)) << "no bank 9";
}

}  // namespace
}  // namespace nandu
