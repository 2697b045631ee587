// -cpu as people write it, and what becomes of it on a host.
#include "vcpu/cpu_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "known_host.h"
#include "vcpu/cpu_topology.h"

namespace nandu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ParseError(std::string_view text) {
  const Result<CpuRequest> request = ParseCpu(text);
  return request ? "" : request.error().message;
}
CpuModel Resolved(std::string_view text) {
  return ResolveCpuModel(ParseCpu(text).value(), KnownHost()).value();
}
std::string ResolveError(std::string_view text) {
  const Result<CpuModel> model = ResolveCpuModel(ParseCpu(text).value(), KnownHost());
  return model ? "" : model.error().message;
}

TEST(CpuOptions, ReadsEveryKindOfProperty) {
  const CpuRequest request =
      ParseCpu(
          "host,pmu=off,migratable=no,vendor=AuthenticAMD,family=0x17,phys-bits=42,tsc-frequency=2.6G,avx2")
          .value();
  EXPECT_EQ(request.model, "host");
  EXPECT_EQ(request.options.pmu, false);
  EXPECT_EQ(request.options.migratable, false);
  EXPECT_EQ(request.options.vendor, "AuthenticAMD");
  EXPECT_EQ(request.options.family, 0x17U);
  EXPECT_EQ(request.options.phys_bits, 42U);
  EXPECT_EQ(request.options.tsc_frequency_hz, 2'600'000'000U);
  EXPECT_TRUE(request.on.Has(FeatureWord::k7Ebx, 5));
}

TEST(CpuOptions, MinusWinsOverPlusAndPlusOverKeyValue) {
  const CpuRequest request = ParseCpu("host,-avx,+avx,+avx2,avx2=off").value();
  EXPECT_TRUE(request.off.Has(FeatureWord::k1Ecx, 28));
  EXPECT_FALSE(request.on.Has(FeatureWord::k1Ecx, 28));
  EXPECT_TRUE(request.on.Has(FeatureWord::k7Ebx, 5));
}

TEST(CpuOptions, KnowsOtherSpellings) {
  const CpuRequest request = ParseCpu("qemu64,+sse4_1,+sse3,+lahf_lm,kvm_pv_eoi=off").value();
  EXPECT_TRUE(request.on.Has(FeatureWord::k1Ecx, 19));
  EXPECT_TRUE(request.on.Has(FeatureWord::k1Ecx, 0));
  EXPECT_TRUE(request.on.Has(FeatureWord::k80000001Ecx, 0));
  EXPECT_TRUE(request.off.Has(FeatureWord::kKvm, 6));
}

TEST(CpuOptions, OneNameMayStandForTwoBits) {
  const CpuRequest request = ParseCpu("host,-kvmclock").value();
  EXPECT_EQ(request.off[FeatureWord::kKvm], 0x9U);
}

TEST(CpuOptions, UnknownWordsNameTheNearest) {
  EXPECT_THAT(ParseError("host,+avx22"), HasSubstr("unknown CPU feature 'avx22' (did you mean 'avx2'?)"));
  EXPECT_THAT(ParseError("host,migratble=on"), HasSubstr("did you mean 'migratable'?"));
}

TEST(CpuOptions, BadValuesAreSentences) {
  EXPECT_THAT(ParseError("host,pmu=maybe"), HasSubstr("it is on or off"));
  EXPECT_THAT(ParseError("host,vendor=AMD"), HasSubstr("must be 12 characters"));
  EXPECT_THAT(ParseError("host,phys-bits=20"), HasSubstr("out of range: 32 to 52"));
  EXPECT_THAT(ParseError("host,stepping=16"), HasSubstr("out of range: 0 to 15"));
  EXPECT_THAT(ParseError("host,tsc-frequency=fast"), HasSubstr("no frequency"));
  EXPECT_THAT(ParseError("host,lmce=on"), HasSubstr("'lmce=on': nandu delivers no local machine checks"));
  EXPECT_THAT(ParseError(",+avx"), HasSubstr("needs a model"));
}

TEST(CpuModel, UnknownModelNamesTheNearest) {
  EXPECT_THAT(ResolveError("qemu46"), HasSubstr("no CPU model 'qemu46' (did you mean 'qemu64'?)"));
}

TEST(CpuModel, NamedModelsAreThoseOfTheTableOnAnyHost) {
  const CpuModel model = ResolveCpuModel(ParseCpu("Haswell-noTSX").value(), GenerousHost()).value();
  EXPECT_EQ(model.vendor, "GenuineIntel");
  EXPECT_EQ(model.model_id, "Intel Core Processor (Haswell, no TSX)");
  EXPECT_EQ(model.version, 0x306c1U);
  EXPECT_EQ(model.level, 0xdU);
  EXPECT_EQ(model.xlevel, 0x80000008U);
  EXPECT_EQ(model.phys_bits, 40U);
  EXPECT_TRUE(model.features.Has(FeatureWord::k7Ebx, 5));    // avx2
  EXPECT_FALSE(model.features.Has(FeatureWord::k7Ebx, 11));  // rtm
  EXPECT_EQ(model.features[FeatureWord::kKvm], 0x100007bU);
  EXPECT_THAT(model.warnings, IsEmpty());
}

TEST(CpuModel, GuestsThatAreHypervisorsAskForIt) {
  const CpuModel plain = ResolveCpuModel(ParseCpu("EPYC").value(), GenerousHost()).value();
  EXPECT_FALSE(plain.features.Has(FeatureWord::k80000001Ecx, 2));
  EXPECT_EQ(plain.features[FeatureWord::kSvm], 0U);
  EXPECT_FALSE(plain.features.Has(FeatureWord::k1Ecx, 3));  // monitor
  const CpuModel asked = ResolveCpuModel(ParseCpu("EPYC,svm=on,monitor=on").value(), GenerousHost()).value();
  EXPECT_TRUE(asked.features.Has(FeatureWord::k80000001Ecx, 2));
  EXPECT_EQ(asked.features[FeatureWord::kSvm], 0x9U);  // nested paging, saved next instruction
  EXPECT_TRUE(asked.features.Has(FeatureWord::k1Ecx, 3));
}

TEST(CpuModel, BaseHasNothing) {
  const CpuModel model = ResolveCpuModel(ParseCpu("base").value(), GenerousHost()).value();
  EXPECT_EQ(model.features, FeatureSet());
  EXPECT_EQ(model.vendor, "");
  EXPECT_EQ(model.level, 0U);
  EXPECT_EQ(model.xlevel, 0U);
}

TEST(CpuModel, ExtendedDestinationsComeWithASplitIrqchip) {
  HostCpu host = GenerousHost();
  EXPECT_FALSE(ResolveCpuModel(ParseCpu("qemu64").value(), host)->features.Has(FeatureWord::kKvm, 15));
  host.extended_destinations = true;
  EXPECT_TRUE(ResolveCpuModel(ParseCpu("qemu64").value(), host)->features.Has(FeatureWord::kKvm, 15));
  EXPECT_TRUE(ResolveCpuModel(ParseCpu("host").value(), host)->features.Has(FeatureWord::kKvm, 15));
}

TEST(CpuModel, PropertiesOfTheHostAreNotThoseOfNamedModels) {
  EXPECT_THAT(ResolveError("Haswell,migratable=on"),
              HasSubstr("'migratable' is a property of the models host and max"));
  EXPECT_THAT(ResolveError("EPYC,host-cache-info=off"), HasSubstr("'host-cache-info' is a property"));
  EXPECT_THAT(ResolveError("Haswell,legacy-cache=off"),
              HasSubstr("'Haswell' doesn't support legacy-cache=off"));
}

TEST(CpuModel, AnInvariantTscWithoutAFrequencyTiesTheGuestToItsHost) {
  EXPECT_THAT(Resolved("host,+invtsc").migration_blocker, HasSubstr("invtsc"));
  EXPECT_EQ(Resolved("host,+invtsc,tsc-frequency=2.6G").migration_blocker, "");
  EXPECT_EQ(Resolved("host").migration_blocker, "");
}

TEST(CpuModel, LevelsFollowTheFeatures) {
  const auto resolved = [](std::string_view text) {
    return ResolveCpuModel(ParseCpu(text).value(), GenerousHost()).value();
  };
  EXPECT_EQ(resolved("Nehalem,+avx512-bf16").level_func7, 1U);
  EXPECT_EQ(resolved("Nehalem,+intel-pt").level, 0x14U);
  EXPECT_EQ(resolved("kvm64,+svm").xlevel, 0x8000000aU);
  EXPECT_EQ(resolved("Nehalem,+xsave,+xsaveopt,full-cpuid-auto-level=off").level, 0xbU);
}

TEST(CpuModel, WhatTheHostLacksIsAWarningThatNamesTheBit) {
  const CpuModel model = Resolved("host,+avx");
  EXPECT_FALSE(model.features.Has(FeatureWord::k1Ecx, 28));
  EXPECT_THAT(model.warnings,
              ElementsAre("host doesn't support requested feature: CPUID.01H:ECX.avx [bit 28]"));
}

TEST(CpuModel, EverythingTheHostLacksIsOneWarning) {
  EXPECT_THAT(
      Resolved("host,+avx,+avx2").warnings,
      ElementsAre(
          "host doesn't support requested feature: CPUID.01H:ECX.avx [bit 28], CPUID.07H:EBX.avx2 [bit 5]"));
}

// As QEMU 7.2 has it: state that the features would be kept in is missing as well.
TEST(CpuModel, ExtendedStateTheHostLacksIsNamed) {
  HostCpu host = KnownHost();
  std::erase_if(host.supported, [](const kvm_cpuid_entry2& leaf) { return leaf.function == 0xd; });
  EXPECT_THAT(ResolveCpuModel(ParseCpu("host,+xsave,+avx").value(), host)->warnings,
              ElementsAre("host doesn't support requested feature: CPUID.01H:ECX.xsave [bit 26], "
                          "CPUID.01H:ECX.avx [bit 28], CPUID.0DH:EAX [bit 0], CPUID.0DH:EAX [bit 1], "
                          "CPUID.0DH:EAX [bit 2]"));
}

TEST(CpuModel, EnforceMakesItAnError) {
  EXPECT_THAT(ResolveError("host,+avx,enforce=on"), HasSubstr("CPUID.01H:ECX.avx [bit 28]"));
}

TEST(CpuModel, CheckOffIsSilent) { EXPECT_THAT(Resolved("host,+avx,check=off").warnings, IsEmpty()); }

TEST(CpuModel, FeatureWithoutTheOneItBelongsToIsAWarning) {
  EXPECT_THAT(Resolved("host,-arch-capabilities,+rdctl-no").warnings,
              ElementsAre(HasSubstr("MSR(10AH).rdctl-no [bit 0] needs another one that is off")));
}

TEST(CpuModel, HostIsSilentAndNotAnInvariantTscUnlessAsked) {
  const CpuModel host = Resolved("host");
  EXPECT_THAT(host.warnings, IsEmpty());
  EXPECT_FALSE(host.features.Has(FeatureWord::k80000007Edx, 8));
  EXPECT_TRUE(Resolved("host,+invtsc").features.Has(FeatureWord::k80000007Edx, 8));
}

TEST(CpuModel, FeatureRegistersFollowTheFeatures) {
  const CpuModel host = Resolved("host,-rdctl-no");
  EXPECT_THAT(host.msrs,
              ElementsAre(MsrState{msr::kArchCapabilities, 0x16c & 0x1ff},
                          MsrState{msr::kMicrocodeRevision, 0x100000000}, MsrState{msr::kMiscEnable, 1}));
  EXPECT_THAT(Resolved("qemu64,ucode-rev=0x42").msrs,
              ElementsAre(MsrState{msr::kArchCapabilities, 0}, MsrState{msr::kMicrocodeRevision, 0x42},
                          MsrState{msr::kMiscEnable, 1}));
}

TEST(CpuModel, MachineCheckBanksAreQemus) { EXPECT_EQ(Resolved("host").mcg_cap, 0x100000aU); }

TEST(CpuModel, HelpListsModelsFeaturesAndProperties) {
  const std::string help = CpuHelp();
  EXPECT_THAT(help, HasSubstr("\nx86 Haswell               (alias configured by machine type)\n"));
  EXPECT_THAT(help, HasSubstr("\nx86 Haswell-noTSX         (alias of Haswell-v2)\n"));
  EXPECT_THAT(help, HasSubstr("\nx86 Icelake-Server-v5     Intel Xeon Processor (Icelake) [XSAVES]\n"));
  EXPECT_THAT(help, HasSubstr("\nx86 host  "));
  EXPECT_THAT(help, HasSubstr("Recognized CPUID flags:\n  3dnow 3dnowext"));
  EXPECT_THAT(help, HasSubstr(" migratable "));
}

TEST(CpuTopology, EveryLevelTakesWholeBitsOfAnApicId) {
  const CpuTopology topology{.sockets = 2, .dies = 1, .cores = 3, .threads = 2};
  EXPECT_EQ(topology.ApicId(0), 0U);
  EXPECT_EQ(topology.ApicId(1), 1U);
  EXPECT_EQ(topology.ApicId(5), 5U);
  EXPECT_EQ(topology.ApicId(6), 8U);
  EXPECT_EQ(topology.ApicId(11), 13U);
}

TEST(CpuFeatures, TableIsSortedAndKnowsEachNameOnce) {
  const std::span<const Feature> all = AllFeatures();
  for (size_t i = 1; i < all.size(); ++i) {
    EXPECT_LE(all[i - 1].name, all[i].name);
  }
  EXPECT_EQ(FindFeatures("x2apic").size(), 1U);
  EXPECT_TRUE(FindFeatures("no-such").empty());
}

TEST(CpuFeatures, EveryWordHasItsPlace) {
  for (size_t i = 0; i < kFeatureWords; ++i) {
    const auto word = static_cast<FeatureWord>(i);
    EXPECT_EQ(InfoOf(word).word, word);
    EXPECT_NE(NamedBits(word), 0U);
  }
}

}  // namespace
}  // namespace nandu
