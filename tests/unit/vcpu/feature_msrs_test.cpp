// VMX capability registers say what the model says, within what KVM offers.
#include "vcpu/feature_msrs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "known_host.h"
#include "vcpu/cpu_model.h"

namespace nandu {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::map<uint32_t, uint64_t> Registers(std::string_view cpu) {
  const HostCpu host = NestedHost();
  const CpuModel model = ResolveCpuModel(ParseCpu(cpu).value(), host).value();
  std::map<uint32_t, uint64_t> registers;
  for (const MsrState& msr : FeatureMsrs(model.features, host)) {
    registers[msr.index] = msr.value;
  }
  return registers;
}

TEST(FeatureMsrs, WithoutVmxThereIsNothingToSay) { EXPECT_THAT(Registers("Haswell"), IsEmpty()); }

TEST(FeatureMsrs, HostOffersWhatKvmDoes) {
  // A TSC multiplier is the highest field there is.
  EXPECT_THAT(Registers("host,migratable=off"), ElementsAre(std::pair(0x48aU, 0x32U)));
}

TEST(FeatureMsrs, WithoutEptAndVpidNothingIsSaidOfThem) {
  EXPECT_EQ(Registers("Conroe,vmx=on").at(0x48c), 0U);
  EXPECT_EQ(Registers("Haswell,vmx=on,-vmx-ept").at(0x48c) & 0xffffffff, 0U);
}

TEST(FeatureMsrs, AGuestOf64BitsMayBeAHypervisorOf64Bits) {
  EXPECT_NE(Registers("Haswell,vmx=on").at(0x48f) >> 32 & 1U << 9, 0U);
  EXPECT_EQ(Registers("kvm32,vmx=on").at(0x48f) >> 32 & 1U << 9, 0U);
}

TEST(FeatureMsrs, AControlTakenAwayMayNotBeSet) {
  const std::map<uint32_t, uint64_t> registers = Registers("host,migratable=off,-vmx-apicv-xapic");
  EXPECT_EQ(registers.at(0x48b), 0x021ffffe00000000U);
}

TEST(FeatureMsrs, AFreedomTakenAwayIsAControlThatMustBeSet) {
  const std::map<uint32_t, uint64_t> registers = Registers("host,migratable=off,-vmx-cr3-load-noexit");
  EXPECT_EQ(registers.at(0x48e), 0xfff9fffe0400e172U);
}

TEST(FeatureMsrs, WithoutSecondaryControlsThereAreNone) {
  const std::map<uint32_t, uint64_t> registers = Registers("host,migratable=off,-vmx-secondary-ctls");
  EXPECT_EQ(registers.at(0x48b), 0U);
  EXPECT_EQ(registers.at(0x48e), 0x7ff9fffe04006172U);
  EXPECT_EQ(registers.at(0x48c) & 0xf0106730041, 0U);
}

TEST(FeatureMsrs, ControlsGoWithTheirInstructions) {
  const std::map<uint32_t, uint64_t> registers = Registers("host,migratable=off,-rdtscp,-invpcid");
  EXPECT_EQ(registers.at(0x48b), 0x021feff700000000U);
}

TEST(FeatureMsrs, NamedModelsOfferTheirOwn) {
  const std::map<uint32_t, uint64_t> registers = Registers("Nehalem,vmx=on");
  // EPT, VPID and descriptor exits, x2APIC, WBINVD exits and the APIC page; no unrestricted guests.
  EXPECT_EQ(registers.at(0x48b), 0x0000007700000000U);
  EXPECT_FALSE(registers.contains(0x491));  // no functions, no register of theirs
  // The memory types of EPT have no name and are KVM's.
  EXPECT_EQ(registers.at(0x48c) & 0x4100, 0x4100U);
}

}  // namespace
}  // namespace nandu
