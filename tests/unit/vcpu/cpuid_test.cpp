// CPUID must be what QEMU's guests see, leaf by leaf.
#include "vcpu/cpuid.h"

#include <array>
#include <gtest/gtest.h>
#include <map>
#include <span>

#include "known_host.h"

namespace nandu {
namespace {

using Leaves = std::map<std::pair<uint32_t, uint32_t>, std::array<uint32_t, 4>>;

constexpr uint32_t kTscKhz = 0x27ac3e;

Leaves Built(std::string_view cpu, const CpuTopology& topology, unsigned index) {
  const HostCpu host = KnownHost();
  const Result<CpuRequest> request = ParseCpu(cpu);
  const Result<CpuModel> model = ResolveCpuModel(request.value(), host);
  Leaves leaves;
  for (const kvm_cpuid_entry2& entry : BuildCpuid(model.value(), topology, host, index, kTscKhz)) {
    const std::array<uint32_t, 4> registers = {entry.eax, entry.ebx, entry.ecx, entry.edx};
    if (registers != std::array<uint32_t, 4>{}) {  // which KVM answers anyway
      leaves[{entry.function, entry.index}] = registers;
    }
  }
  return leaves;
}

Leaves Observed(std::span<const qemu::Leaf> observed) {
  Leaves leaves;
  for (const qemu::Leaf& leaf : observed) {
    leaves[{leaf.function, leaf.index}] = {leaf.eax, leaf.ebx, leaf.ecx, leaf.edx};
  }
  return leaves;
}

TEST(Cpuid, HostModelIsQemus) { EXPECT_EQ(Built("host", {}, 0), Observed(qemu::kHost)); }

TEST(Cpuid, SocketsCoresAndThreadsAreQemus) {
  EXPECT_EQ(Built("host", {.sockets = 2, .dies = 1, .cores = 2, .threads = 2}, 5),
            Observed(qemu::kHostSockets));
}

TEST(Cpuid, DiesAreQemus) {
  EXPECT_EQ(Built("host", {.sockets = 1, .dies = 2, .cores = 3, .threads = 2}, 11),
            Observed(qemu::kHostDies));
}

TEST(Cpuid, Qemu64IsQemus) { EXPECT_EQ(Built("qemu64", {}, 0), Observed(qemu::kQemu64)); }

TEST(Cpuid, AmdTopologyIsQemus) {
  EXPECT_EQ(Built("qemu64,vendor=AuthenticAMD,+topoext,xlevel=0x8000001e,model-id=Foo "
                  "Bar,family=23,model=49,stepping=2",
                  {.sockets = 2, .dies = 2, .cores = 3, .threads = 1}, 11),
            Observed(qemu::kAmdTopology));
}

TEST(Cpuid, AmdThreadsWithoutL3AreQemus) {
  EXPECT_EQ(Built("host,vendor=AuthenticAMD,+topoext,xlevel=0x8000001e,l3-cache=off",
                  {.sockets = 1, .dies = 1, .cores = 2, .threads = 2}, 3),
            Observed(qemu::kAmdThreads));
}

TEST(Cpuid, ZenModelsHaveTheirOwnCaches) {
  const CpuTopology topology{.sockets = 1, .dies = 1, .cores = 4, .threads = 2};
  const Leaves amd = Built("EPYC,vendor=AuthenticAMD", topology, 7);
  EXPECT_EQ(amd.at({0x80000005, 0}),
            (std::array<uint32_t, 4>{0x01ff01ff, 0x01ff01ff, 0x20080140, 0x40040140}));
  EXPECT_EQ(amd.at({0x80000006, 0}), (std::array<uint32_t, 4>{0, 0x42004200, 0x02006140, 0x00408140}));
  EXPECT_EQ(amd.at({0x8000001d, 1}), (std::array<uint32_t, 4>{0x4122, 0x00c0003f, 0xff, 1}));
  EXPECT_EQ(amd.at({0x8000001d, 3}), (std::array<uint32_t, 4>{0x1c163, 0x03c0003f, 0x1fff, 6}));
  EXPECT_FALSE(amd.contains({4, 0}));
  const Leaves elsewhere = Built("EPYC-Milan", {}, 0);
  EXPECT_EQ(elsewhere.at({2, 0}), (std::array<uint32_t, 4>{1, 0, 0xff, 0x002c3080}));
  EXPECT_EQ(elsewhere.at({4, 3}), (std::array<uint32_t, 4>{0x163, 0x03c0003f, 0x7fff, 6}));
}

TEST(Cpuid, LegacyCachesTakeThePlaceOfAModelsOwn) {
  EXPECT_EQ(Built("EPYC,legacy-cache=on", {}, 0).at({0x80000005, 0}),
            (std::array<uint32_t, 4>{0x01ff01ff, 0x01ff01ff, 0x40020140, 0x40020140}));
}

TEST(Cpuid, ModelsWithoutExtendedLeavesHaveNone) {
  for (const auto& [leaf, registers] : Built("pentium3", {}, 0)) {
    EXPECT_TRUE(leaf.first <= 3 || leaf.first >> 16 == 0x4000) << std::hex << leaf.first;
  }
}

TEST(Cpuid, ThirtyTwoBitModelsHaveShortAddresses) {
  EXPECT_EQ(Built("kvm32", {}, 0).at({0x80000008, 0})[0], 36U);
  EXPECT_EQ(Built("n270", {}, 0).at({0x80000008, 0})[0], 32U);
}

TEST(Cpuid, AFrequencyAskedForIsShownWithoutInvariantTsc) {
  const Leaves leaves = Built("qemu64,tsc-frequency=2.6G", {}, 0);
  EXPECT_EQ(leaves.at({0x40000000, 0})[0], 0x40000010U);
  EXPECT_EQ(leaves.at({0x40000010, 0}), (std::array<uint32_t, 4>{kTscKhz, 1000000, 0, 0}));
}

TEST(Cpuid, KvmsLeavesStandBehindHyperVs) {
  HostCpu host = KnownHost();
  host.hyperv = KnownHyperV();
  const CpuModel model =
      ResolveCpuModel(ParseCpu("qemu64,hv-relaxed,tsc-frequency=2.6G").value(), host).value();
  const std::vector<kvm_cpuid_entry2> cpuid = BuildCpuid(model, {}, host, 0, kTscKhz);
  EXPECT_EQ(FindCpuid(cpuid, 0x40000000)->ebx, 0x7263694dU);
  EXPECT_EQ(FindCpuid(cpuid, 0x40000100)->eax, 0x40000101U);
  EXPECT_EQ(FindCpuid(cpuid, 0x40000100)->ebx, 0x4b4d564bU);
  EXPECT_EQ(FindCpuid(cpuid, 0x40000101)->eax, 0x100007bU);
  EXPECT_EQ(FindCpuid(cpuid, 0x40000110), nullptr);
}

TEST(Cpuid, HiddenHypervisorAndPhysBitsAreQemus) {
  EXPECT_EQ(Built("host,host-phys-bits=off,phys-bits=42,kvm=off,-hypervisor,l3-cache=off", {}, 0),
            Observed(qemu::kHidden));
}

TEST(Cpuid, NotMigratableShowsEverythingAndTheFrequencies) {
  EXPECT_EQ(
      Built("max,migratable=off,pmu=on,level=0xa", {.sockets = 1, .dies = 1, .cores = 2, .threads = 1}, 1),
      Observed(qemu::kNotMigratable));
}

TEST(Cpuid, KvmHintsAreQemus) {
  EXPECT_EQ(Built("qemu64,kvm-hint-dedicated=on,+kvm-poll-control",
                  {.sockets = 1, .dies = 2, .cores = 1, .threads = 1}, 1),
            Observed(qemu::kHints));
}

TEST(Cpuid, PlusAndMinusAreQemus) {
  EXPECT_EQ(Built("qemu64,-x2apic,+tsc-deadline,sse3=off,kvmclock=off,+rdseed", {}, 0),
            Observed(qemu::kSigns));
}

TEST(Cpuid, ExtendedStateCountsTheComponentsTheModelHas) {
  HostCpu host = KnownHost();
  for (kvm_cpuid_entry2& entry : host.supported) {
    if (entry.function == 1) {
      entry.ecx |= 1U << 26 | 1U << 28;  // XSAVE, AVX; AVX-512 stays away
    }
  }
  const CpuModel model = ResolveCpuModel(ParseCpu("host").value(), host).value();
  const std::vector<kvm_cpuid_entry2> cpuid = BuildCpuid(model, {}, host, 0);
  EXPECT_EQ(FindCpuid(cpuid, 0xd)->eax, 7U);
  EXPECT_EQ(FindCpuid(cpuid, 0xd)->ecx, 0x340U);
  EXPECT_EQ(FindCpuid(cpuid, 0xd)->ebx, 0x340U);
  EXPECT_EQ(FindCpuid(cpuid, 0xd, 2)->ebx, 0x240U);
  EXPECT_EQ(FindCpuid(cpuid, 0xd, 5), nullptr);
}

TEST(Cpuid, ProcessorTraceIsThatOfEveryModelWithIt) {
  HostCpu host = GenerousHost();
  host.supported.push_back({0x14, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x02490002, 0x003f3fff, 0, 0, {}});
  const CpuModel model = ResolveCpuModel(ParseCpu("Icelake-Server,+intel-pt").value(), host).value();
  const std::vector<kvm_cpuid_entry2> cpuid = BuildCpuid(model, {}, host, 0);
  EXPECT_EQ(FindCpuid(cpuid, 0)->eax, 0x14U);
  EXPECT_EQ(FindCpuid(cpuid, 0x14)->ecx, 7U);
  EXPECT_EQ(FindCpuid(cpuid, 0x14, 1)->ebx, 0x003f1fffU);
}

TEST(Cpuid, HostsThatTraceLessTraceNothing) {
  HostCpu host = GenerousHost();  // says nothing of what it can write
  const CpuModel model = ResolveCpuModel(ParseCpu("Icelake-Server,+intel-pt").value(), host).value();
  EXPECT_FALSE(model.features.Has(FeatureWord::k7Ebx, 25));
}

TEST(Cpuid, HostCachesAreSharedByNoMoreThanTheDieHas) {
  HostCpu host = KnownHost();
  host.caches = {
      {4, 3, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x3c07c163, 0x3c0003f, 0x77fff, 4, {}}};  // 32 share it
  const CpuModel model = ResolveCpuModel(ParseCpu("host,host-cache-info=on").value(), host).value();
  const CpuTopology topology{.sockets = 1, .dies = 1, .cores = 2, .threads = 1};
  const std::vector<kvm_cpuid_entry2> cpuid = BuildCpuid(model, topology, host, 0);
  EXPECT_EQ(FindCpuid(cpuid, 4, 3)->eax, 0x04004163U);
}

}  // namespace
}  // namespace nandu
