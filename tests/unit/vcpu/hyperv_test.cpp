// Hyper-V's enlightenments: words, what each needs, and the leaves of CPUID, which are QEMU's.
#include "vcpu/hyperv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "known_host.h"
#include "vcpu/cpu_options.h"

namespace nandu {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

HyperVOptions Options(std::string_view words) {
  return ParseCpu(Format("qemu64,{}", words)).value().options.hyperv;
}
std::string ParseError(std::string_view words) {
  const Result<CpuRequest> request = ParseCpu(Format("qemu64,{}", words));
  return request ? "" : request.error().message;
}
std::string CheckError(std::string_view words) {
  const Result<> checked = CheckHyperV(Options(words), KnownHyperV());
  return checked ? "" : checked.error().message;
}

struct Registers {
  uint32_t eax, ebx, ecx, edx;
  bool operator==(const Registers&) const = default;
};
Registers Leaf(std::string_view words, uint32_t leaf) {
  const std::vector<kvm_cpuid_entry2> cpuid = HyperVCpuid(Options(words), KnownHyperV());
  const kvm_cpuid_entry2* entry = FindCpuid(cpuid, leaf);
  return entry == nullptr ? Registers{} : Registers{entry->eax, entry->ebx, entry->ecx, entry->edx};
}

TEST(HyperV, NothingIsShownUnasked) {
  EXPECT_FALSE(Options("hv-enforce-cpuid=on,hv-vendor-id=Somebody").shown());
  EXPECT_THAT(HyperVCpuid(Options("hv-relaxed=off"), KnownHyperV()), IsEmpty());
}

TEST(HyperV, WordsMayHaveUnderscores) { EXPECT_TRUE(Options("hv_relaxed").Has(Enlightenment::kRelaxed)); }

TEST(HyperV, AvicHasTwoNames) { EXPECT_TRUE(Options("hv-apicv=on").Has(Enlightenment::kAvic)); }

TEST(HyperV, LeavesAreQemus) {
  constexpr std::string_view kAll =
      "hv-relaxed,hv-vapic,hv-time,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-reset";
  EXPECT_EQ(Leaf(kAll, 0x40000000), (Registers{0x40000005, 0x7263694d, 0x666f736f, 0x76482074}));
  EXPECT_EQ(Leaf(kAll, 0x40000001), (Registers{0x31237648, 0, 0, 0}));
  EXPECT_EQ(Leaf(kAll, 0x40000002), (Registers{0x3839, 0x000a0000, 0, 0}));
  EXPECT_EQ(Leaf(kAll, 0x40000003), (Registers{0x2ff, 0x30, 0, 0x8}));
  EXPECT_EQ(Leaf(kAll, 0x40000004), (Registers{0x28, 0x1fff, 0, 0}));
  EXPECT_EQ(Leaf(kAll, 0x40000005), (Registers{0xffffffff, 0x40, 0, 0}));
}

TEST(HyperV, RecommendationsAreQemus) {
  EXPECT_EQ(Leaf("hv-vpindex,hv-tlbflush,hv-ipi", 0x40000004), (Registers{0xc04, 0xffffffff, 0, 0}));
  EXPECT_EQ(Leaf("hv-avic", 0x40000004), (Registers{0x200, 0xffffffff, 0, 0}));
  EXPECT_EQ(Leaf("hv-avic,hv-vapic", 0x40000004), (Registers{0x200, 0xffffffff, 0, 0}));
  EXPECT_EQ(Leaf("hv-frequencies,hv-reenlightenment,hv-crash,hv-xmm-input", 0x40000003),
            (Registers{0x2820, 0, 0, 0x518}));
}

TEST(HyperV, CoreSharingIsKvmsToJudgeWhereLeftToIt) {
  EXPECT_EQ(Leaf("hv-relaxed,hv-no-nonarch-coresharing=auto", 0x40000004).eax, 0x40020U);
  EXPECT_EQ(Leaf("hv-relaxed,hv-no-nonarch-coresharing=on", 0x40000004).eax, 0x40020U);
  EXPECT_EQ(Leaf("hv-relaxed,hv-no-nonarch-coresharing=off", 0x40000004).eax, 0x20U);
}

TEST(HyperV, VersionAndVendorAreAsAskedFor) {
  constexpr std::string_view kWords =
      "hv-relaxed,hv-vendor-id=KVMKVMKVM,hv-version-id-build=1,hv-version-id-major=2,hv-version-id-minor=3,"
      "hv-version-id-spack=4,hv-version-id-sbranch=5,hv-version-id-snumber=6";
  EXPECT_EQ(Leaf(kWords, 0x40000000), (Registers{0x40000005, 0x4b4d564b, 0x564b4d56, 0x4d}));
  EXPECT_EQ(Leaf(kWords, 0x40000002), (Registers{1, 0x00020003, 4, 0x05000006}));
}

TEST(HyperV, SpinlocksWithoutANumberAreNone) {
  EXPECT_FALSE(Options("hv-spinlocks=0xffffffff").shown());
  EXPECT_TRUE(Options("hv-spinlocks=0x1fff").shown());
}

TEST(HyperV, WhatIsMissingIsNamed) {
  EXPECT_EQ(CheckError("hv-synic"), "hv-synic needs hv-vpindex");
  EXPECT_EQ(CheckError("hv-vpindex,hv-synic,hv-stimer"), "hv-stimer needs hv-time");
  EXPECT_EQ(CheckError("hv-tlbflush-ext,hv-tlbflush,hv-vpindex"),
            "hv-tlbflush-ext: this host's KVM does not have it");
  EXPECT_EQ(CheckError("hv-vpindex,hv-time,hv-synic,hv-stimer,hv-stimer-direct,hv-ipi,hv-tlbflush"), "");
}

TEST(HyperV, AKvmWithoutHyperVIsASentence) {
  const Result<> checked = CheckHyperV(Options("hv-relaxed"), {});
  EXPECT_THAT(checked.error().message, HasSubstr("no Hyper-V interface"));
  EXPECT_TRUE(CheckHyperV(Options("hv-relaxed=off"), {}));
}

TEST(HyperV, WhatIsNotServedIsRefusedAndOffIsAccepted) {
  EXPECT_THAT(ParseError("hv-passthrough"), HasSubstr("name the enlightenments"));
  EXPECT_THAT(ParseError("hv-evmcs=on"), HasSubstr("enlightened VMCS"));
  EXPECT_EQ(ParseError("hv-evmcs=off"), "");
  EXPECT_THAT(ParseError("hv-vendor-id=waytoolongvendorid"), HasSubstr("1 to 12 characters"));
  EXPECT_THAT(ParseError("hv-version-id-major=65536"), HasSubstr("out of range: 0 to 65535"));
  EXPECT_THAT(ParseError("hv-relaxd"), HasSubstr("did you mean 'hv-relaxed'?"));
}

}  // namespace
}  // namespace nandu
