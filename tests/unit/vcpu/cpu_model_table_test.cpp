// The table of named CPU models is what it says it is.
#include "vcpu/cpu_model_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace nandu {
namespace {

using enum FeatureWord;

FeatureSet Features(std::string_view name) { return FeaturesOf(*FindNamedModel(name)); }

bool Has(std::string_view model, std::string_view feature) {
  const std::vector<Feature> found = FindFeatures(feature);
  return !found.empty() && Features(model).Has(found.front().word, found.front().bit);
}

TEST(CpuModelTable, EveryRowReadsToItsEnd) {
  for (const NamedModel& model : NamedModels()) {
    EXPECT_NE(FeaturesOf(model), FeatureSet()) << model.name;  // stops at a word that is no feature
    EXPECT_LE(model.model_id.size(), 48U) << model.name;
  }
}

TEST(CpuModelTable, RowsStandOnRowsAbove) {
  std::set<std::string_view> above;
  for (const NamedModel& model : NamedModels()) {
    EXPECT_TRUE(model.like.empty() || above.contains(model.like)) << model.name;
    above.insert(model.name);
  }
}

TEST(CpuModelTable, EveryNameIsOneModels) {
  std::set<std::string_view> names = {"host", "max", "base"};
  for (const NamedModel& model : NamedModels()) {
    for (const std::string_view name : {model.name, model.alias, UnversionedName(model)}) {
      EXPECT_TRUE(name.empty() || names.insert(name).second) << name;
    }
  }
}

TEST(CpuModelTable, NamesLeadToVersions) {
  EXPECT_EQ(FindNamedModel("Haswell")->name, "Haswell-v1");
  EXPECT_EQ(FindNamedModel("Haswell-v3")->name, "Haswell-v3");
  EXPECT_EQ(FindNamedModel("Haswell-noTSX-IBRS")->name, "Haswell-v4");
  EXPECT_EQ(FindNamedModel("EPYC-IBPB")->name, "EPYC-v2");
  EXPECT_EQ(FindNamedModel("x86-64-v2")->name, "x86-64-v2");
  EXPECT_EQ(FindNamedModel("haswell"), nullptr);
  EXPECT_EQ(FindNamedModel("Haswell-v5"), nullptr);
  EXPECT_EQ(FindNamedModel(""), nullptr);
}

TEST(CpuModelTable, VersionsAddAndTakeAway) {
  EXPECT_TRUE(Has("Haswell", "rtm"));
  EXPECT_FALSE(Has("Haswell-noTSX", "rtm"));
  EXPECT_FALSE(Has("Haswell", "spec-ctrl"));
  EXPECT_TRUE(Has("Haswell-IBRS", "rtm"));
  EXPECT_TRUE(Has("Haswell-noTSX-IBRS", "spec-ctrl"));
  EXPECT_FALSE(Has("EPYC", "ibpb"));
  EXPECT_TRUE(Has("EPYC-IBPB", "ibpb"));
  EXPECT_FALSE(Has("Cascadelake-Server", "mds-no"));
  EXPECT_TRUE(Has("Cascadelake-Server-noTSX", "mds-no"));
}

TEST(CpuModelTable, GenerationsBuildOnEachOther) {
  EXPECT_TRUE(Has("Icelake-Server", "fpu"));
  EXPECT_TRUE(Has("Icelake-Server", "sse4.2"));
  EXPECT_TRUE(Has("Icelake-Server", "avx512vnni"));
  EXPECT_FALSE(Has("Denverton", "avx"));
  EXPECT_TRUE(Has("EPYC-Milan", "svm"));
  EXPECT_FALSE(Has("EPYC", "fma4"));
  EXPECT_FALSE(Has("kvm32", "lm"));
}

TEST(CpuModelTable, AStarTakesAwayAllThatBeginsSo) {
  EXPECT_NE(Features("Broadwell")[kVmxSecondary], 0U);
  for (const FeatureWord word : {kVmxProcbased, kVmxSecondary, kVmxPinbased, kVmxExit, kVmxEntry, kVmxMisc,
                                 kVmxEptVpid, kVmxBasic, kVmxVmfunc}) {
    EXPECT_EQ(Features("KnightsMill")[word], 0U);
  }
}

// x86-64 psABI 1.0, table 3.1.
TEST(CpuModelTable, PsAbiLevelsAreComplete) {
  const char* const first[] = {"cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2", "lm"};
  const char* const second[] = {"cx16", "lahf-lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3"};
  const char* const third[] = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"};
  const char* const fourth[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};
  for (const char* feature : first) {
    EXPECT_TRUE(Has("x86-64-v2", feature)) << feature;
  }
  for (const char* feature : second) {
    EXPECT_TRUE(Has("x86-64-v2", feature)) << feature;
  }
  for (const char* feature : third) {
    EXPECT_FALSE(Has("x86-64-v2", feature)) << feature;
    EXPECT_TRUE(Has("x86-64-v3", feature)) << feature;
  }
  for (const char* feature : fourth) {
    EXPECT_FALSE(Has("x86-64-v3", feature)) << feature;
    EXPECT_TRUE(Has("x86-64-v4", feature)) << feature;
  }
}

}  // namespace
}  // namespace nandu
