#include "vcpu/cpu_model_table.h"

#include <algorithm>

#include "base/check.h"

namespace nandu {
namespace {

// clang-format off
constexpr NamedModel kModels[] = {
    // Name, alias, family, model, stepping, level, xlevel, caches, brand string, note,
    // like, features.

    // QEMU's own, and 32-bit processors.
    {"486-v1", "", 4, 8, 0, 0x1, 0x0, kCommonCaches, "", "",
     "", "fpu pse vme"},
    {"pentium-v1", "", 5, 4, 3, 0x1, 0x0, kCommonCaches, "", "",
     "486-v1", "apic cx8 de mce mmx msr tsc"},
    {"pentium2-v1", "", 6, 5, 2, 0x2, 0x0, kCommonCaches, "", "",
     "pentium-v1", "cmov fxsr mca mtrr pae pat pge pse36 sep"},
    {"pentium3-v1", "", 6, 7, 3, 0x3, 0x0, kCommonCaches, "", "",
     "pentium2-v1", "sse"},
    {"athlon-v1", "", 6, 2, 3, 0x2, 0x80000008, kCommonCaches, "QEMU Virtual CPU version 2.5+", "",
     "pentium2-v1", "3dnow 3dnowext mmxext sse sse2"},
    {"qemu32-v1", "", 6, 6, 3, 0x4, 0x80000004, kCommonCaches, "QEMU Virtual CPU version 2.5+", "",
     "pentium-v1", "cmov fxsr pae pat pge pni sep sse sse2 -vme"},
    {"qemu64-v1", "", 15, 107, 1, 0xd, 0x8000000a, kCommonCaches, "QEMU Virtual CPU version 2.5+", "",
     "qemu32-v1", "clflush cx16 lahf-lm lm mca mtrr nx pse36 svm syscall"},
    {"kvm64-v1", "", 15, 6, 1, 0xd, 0x80000008, kCommonCaches, "Common KVM processor", "",
     "qemu64-v1",
     "vme vmx-activity-hlt vmx-cr8-load-exit vmx-cr8-store-exit vmx-entry-ia32e-mode vmx-exit-ack-intr "
     "vmx-flexpriority vmx-hlt-exit vmx-intr-exit vmx-invlpg-exit vmx-io-bitmap vmx-io-exit vmx-monitor-exit "
     "vmx-movdr-exit vmx-mwait-exit vmx-nmi-exit vmx-pause-exit vmx-rdpmc-exit vmx-rdtsc-exit vmx-tsc-offset "
     "vmx-vintr-pending -lahf-lm -svm"},
    {"kvm32-v1", "", 15, 6, 1, 0x5, 0x80000008, kCommonCaches, "Common 32-bit KVM processor", "",
     "kvm64-v1",
     "vmx-msr-bitmap -cx16 -lm -nx -syscall -vmx-cr8-load-exit -vmx-cr8-store-exit -vmx-entry-ia32e-mode "
     "-vmx-flexpriority"},
    {"coreduo-v1", "", 6, 14, 8, 0xa, 0x80000008, kCommonCaches,
     "Genuine Intel(R) CPU           T2600  @ 2.16GHz", "",
     "pentium3-v1",
     "acpi clflush monitor nx pni ss sse2 vmx-activity-hlt vmx-exit-ack-intr vmx-hlt-exit vmx-intr-exit "
     "vmx-invlpg-exit vmx-io-bitmap vmx-io-exit vmx-monitor-exit vmx-movdr-exit vmx-msr-bitmap vmx-mwait-exit "
     "vmx-nmi-exit vmx-pause-exit vmx-rdpmc-exit vmx-rdtsc-exit vmx-tsc-offset vmx-vintr-pending -pse36"},
    {"n270-v1", "", 6, 28, 2, 0xa, 0x80000008, kCommonCaches, "Intel(R) Atom(TM) CPU N270   @ 1.60GHz", "",
     "coreduo-v1", "lahf-lm movbe ssse3 -vmx-*"},
    {"core2duo-v1", "", 6, 15, 11, 0xa, 0x80000008, kCommonCaches,
     "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz", "",
     "coreduo-v1",
     "cx16 lahf-lm lm pse36 ssse3 syscall vmx-apicv-xapic vmx-cr8-load-exit vmx-cr8-store-exit "
     "vmx-entry-ia32e-mode vmx-flexpriority vmx-ins-outs vmx-secondary-ctls vmx-vnmi vmx-vnmi-pending"},
    // Intel, 64 bits.
    {"Conroe-v1", "", 6, 15, 3, 0xa, 0x80000008, kCommonCaches, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)", "",
     "core2duo-v1", "-acpi -cx16 -monitor -ss"},
    {"Penryn-v1", "", 6, 23, 3, 0xa, 0x80000008, kCommonCaches, "Intel Core 2 Duo P9xxx (Penryn Class Core 2)", "",
     "Conroe-v1", "cx16 sse4.1 vmx-entry-load-perf-global-ctrl vmx-exit-load-perf-global-ctrl vmx-wbinvd-exit"},
    {"Nehalem-v1", "", 6, 26, 3, 0xb, 0x80000008, kCommonCaches, "Intel Core i7 9xx (Nehalem Class Core i7)", "",
     "Penryn-v1",
     "popcnt sse4.2 vmx-apicv-x2apic vmx-cr3-load-noexit vmx-cr3-store-noexit vmx-desc-exit vmx-entry-load-efer "
     "vmx-entry-load-pat vmx-entry-noload-debugctl vmx-ept vmx-ept-1gb vmx-ept-2mb vmx-ept-execonly "
     "vmx-exit-load-efer vmx-exit-load-pat vmx-exit-nosave-debugctl vmx-exit-save-efer vmx-exit-save-pat "
     "vmx-exit-save-preemption-timer vmx-invept vmx-invept-all-context vmx-invept-single-context "
     "vmx-invept-single-context-noglobals vmx-invvpid vmx-invvpid-all-context vmx-invvpid-single-addr vmx-mtf "
     "vmx-page-walk-4 vmx-preemption-timer vmx-true-ctls vmx-vpid"},
    {"Nehalem-v2", "Nehalem-IBRS", 6, 26, 3, 0xb, 0x80000008, kCommonCaches,
     "Intel Core i7 9xx (Nehalem Core i7, IBRS update)", "",
     "Nehalem-v1", "spec-ctrl"},
    {"Westmere-v1", "", 6, 44, 1, 0xb, 0x80000008, kCommonCaches, "Westmere E56xx/L56xx/X56xx (Nehalem-C)", "",
     "Nehalem-v1", "aes arat pclmulqdq vmx-store-lma vmx-unrestricted-guest"},
    {"Westmere-v2", "Westmere-IBRS", 6, 44, 1, 0xb, 0x80000008, kCommonCaches,
     "Westmere E56xx/L56xx/X56xx (IBRS update)", "",
     "Westmere-v1", "spec-ctrl"},
    {"SandyBridge-v1", "", 6, 42, 1, 0xd, 0x80000008, kCommonCaches, "Intel Xeon E312xx (Sandy Bridge)", "",
     "Westmere-v1", "avx rdtscp tsc-deadline x2apic xsave xsaveopt vmx-rdtscp-exit"},
    {"SandyBridge-v2", "SandyBridge-IBRS", 6, 42, 1, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon E312xx (Sandy Bridge, IBRS update)", "",
     "SandyBridge-v1", "spec-ctrl"},
    {"IvyBridge-v1", "", 6, 58, 9, 0xd, 0x80000008, kCommonCaches, "Intel Xeon E3-12xx v2 (Ivy Bridge)", "",
     "SandyBridge-v1",
     "erms f16c fsgsbase rdrand smep vmx-apicv-register vmx-apicv-vid vmx-posted-intr vmx-rdrand-exit"},
    {"IvyBridge-v2", "IvyBridge-IBRS", 6, 58, 9, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)", "",
     "IvyBridge-v1", "spec-ctrl"},
    {"Haswell-v1", "", 6, 60, 4, 0xd, 0x80000008, kCommonCaches, "Intel Core Processor (Haswell)", "",
     "IvyBridge-v1",
     "abm avx2 bmi1 bmi2 fma hle invpcid movbe pcid rtm vmx-eptad vmx-eptp-switching vmx-invpcid-exit "
     "vmx-shadow-vmcs vmx-vmfunc vmx-vmwrite-vmexit-fields"},
    {"Haswell-v2", "Haswell-noTSX", 6, 60, 1, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Haswell, no TSX)", "",
     "Haswell-v1", "-hle -rtm"},
    {"Haswell-v3", "Haswell-IBRS", 6, 60, 4, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Haswell, IBRS)", "",
     "Haswell-v1", "spec-ctrl"},
    {"Haswell-v4", "Haswell-noTSX-IBRS", 6, 60, 1, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Haswell, no TSX, IBRS)", "",
     "Haswell-v2", "spec-ctrl"},
    {"Broadwell-v1", "", 6, 61, 2, 0xd, 0x80000008, kCommonCaches, "Intel Core Processor (Broadwell)", "",
     "Haswell-v1", "3dnowprefetch adx rdseed smap vmx-pml vmx-rdseed-exit"},
    {"Broadwell-v2", "Broadwell-noTSX", 6, 61, 2, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Broadwell, no TSX)", "",
     "Broadwell-v1", "-hle -rtm"},
    {"Broadwell-v3", "Broadwell-IBRS", 6, 61, 2, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Broadwell, IBRS)", "",
     "Broadwell-v1", "spec-ctrl"},
    {"Broadwell-v4", "Broadwell-noTSX-IBRS", 6, 61, 2, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Broadwell, no TSX, IBRS)", "",
     "Broadwell-v2", "spec-ctrl"},
    {"Skylake-Client-v1", "", 6, 94, 3, 0xd, 0x80000008, kCommonCaches, "Intel Core Processor (Skylake)", "",
     "Broadwell-v1", "xgetbv1 xsavec -vmx-apicv-register -vmx-apicv-vid -vmx-apicv-x2apic -vmx-posted-intr"},
    {"Skylake-Client-v2", "Skylake-Client-IBRS", 6, 94, 3, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Skylake, IBRS)", "",
     "Skylake-Client-v1", "spec-ctrl"},
    {"Skylake-Client-v3", "Skylake-Client-noTSX-IBRS", 6, 94, 3, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Skylake, IBRS, no TSX)", "",
     "Skylake-Client-v2", "-hle -rtm"},
    {"Skylake-Client-v4", "", 6, 94, 3, 0xd, 0x80000008, kCommonCaches,
     "Intel Core Processor (Skylake, IBRS, no TSX)", "IBRS, XSAVES, no TSX",
     "Skylake-Client-v3", "xsaves vmx-xsaves"},
    {"Skylake-Server-v1", "", 6, 85, 4, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Skylake)", "",
     "Skylake-Client-v1",
     "avx512bw avx512cd avx512dq avx512f avx512vl clflushopt clwb pdpe1gb pku vmx-apicv-register vmx-apicv-vid "
     "vmx-apicv-x2apic vmx-posted-intr -vmx-eptp-switching"},
    {"Skylake-Server-v2", "Skylake-Server-IBRS", 6, 85, 4, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Skylake, IBRS)", "",
     "Skylake-Server-v1", "spec-ctrl -clflushopt"},
    {"Skylake-Server-v3", "Skylake-Server-noTSX-IBRS", 6, 85, 4, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Skylake, IBRS, no TSX)", "",
     "Skylake-Server-v2", "-hle -rtm"},
    {"Skylake-Server-v4", "", 6, 85, 4, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Skylake, IBRS, no TSX)", "IBRS, EPT switching, no TSX",
     "Skylake-Server-v3", "vmx-eptp-switching"},
    {"Skylake-Server-v5", "", 6, 85, 4, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Skylake, IBRS, no TSX)", "IBRS, XSAVES, EPT switching, no TSX",
     "Skylake-Server-v4", "xsaves vmx-xsaves"},
    {"Cascadelake-Server-v1", "", 6, 85, 6, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Cascadelake)", "",
     "Skylake-Server-v1", "avx512vnni spec-ctrl ssbd"},
    {"Cascadelake-Server-v2", "", 6, 85, 6, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Cascadelake)", "ARCH_CAPABILITIES",
     "Cascadelake-Server-v1", "arch-capabilities ibrs-all mds-no rdctl-no skip-l1dfl-vmentry"},
    {"Cascadelake-Server-v3", "Cascadelake-Server-noTSX", 6, 85, 6, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Cascadelake)", "ARCH_CAPABILITIES, no TSX",
     "Cascadelake-Server-v2", "-hle -rtm"},
    {"Cascadelake-Server-v4", "", 6, 85, 6, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Cascadelake)", "ARCH_CAPABILITIES, EPT switching, no TSX",
     "Cascadelake-Server-v3", "vmx-eptp-switching"},
    {"Cascadelake-Server-v5", "", 6, 85, 6, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Cascadelake)", "ARCH_CAPABILITIES, EPT switching, XSAVES, no TSX",
     "Cascadelake-Server-v4", "xsaves vmx-xsaves"},
    {"Cooperlake-v1", "", 6, 85, 10, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Cooperlake)", "",
     "Cascadelake-Server-v2", "avx512-bf16 pschange-mc-no stibp taa-no vmx-eptp-switching"},
    {"Cooperlake-v2", "", 6, 85, 10, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Cooperlake)", "XSAVES",
     "Cooperlake-v1", "xsaves vmx-xsaves"},
    {"Icelake-Server-v1", "", 6, 134, 0, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Icelake)", "",
     "Cascadelake-Server-v1",
     "avx512-vpopcntdq avx512bitalg avx512vbmi avx512vbmi2 gfni la57 umip vaes vpclmulqdq wbnoinvd -vmx-pml "
     "-vmx-rdseed-exit"},
    {"Icelake-Server-v2", "Icelake-Server-noTSX", 6, 134, 0, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Icelake)", "no TSX",
     "Icelake-Server-v1", "-hle -rtm"},
    {"Icelake-Server-v3", "", 6, 134, 0, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Icelake)", "",
     "Icelake-Server-v2", "arch-capabilities ibrs-all mds-no pschange-mc-no rdctl-no skip-l1dfl-vmentry taa-no"},
    {"Icelake-Server-v4", "", 6, 106, 0, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Icelake)", "",
     "Icelake-Server-v3", "avx512ifma fsrm rdpid sha-ni vmx-eptp-switching vmx-pml vmx-rdseed-exit"},
    {"Icelake-Server-v5", "", 6, 106, 0, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Processor (Icelake)", "XSAVES",
     "Icelake-Server-v4", "xsaves vmx-xsaves"},
    {"Icelake-Server-v6", "", 6, 106, 0, 0xd, 0x80000008, kCommonCaches,
     "Intel Xeon Processor (Icelake)", "5-level EPT",
     "Icelake-Server-v5", "vmx-page-walk-5"},
    {"KnightsMill-v1", "", 6, 133, 0, 0xd, 0x80000008, kCommonCaches, "Intel Xeon Phi Processor (Knights Mill)", "",
     "Broadwell-v2",
     "avx512-4fmaps avx512-4vnniw avx512-vpopcntdq avx512cd avx512er avx512f avx512pf pdpe1gb ss -invpcid -pcid "
     "-smap -vmx-*"},
    // Intel, small cores.
    {"Denverton-v1", "", 6, 95, 1, 0x15, 0x80000008, kCommonCaches, "Intel Atom Processor (Denverton)", "",
     "Westmere-v1",
     "3dnowprefetch arch-capabilities clflushopt erms fsgsbase monitor movbe mpx pdpe1gb rdctl-no rdrand rdseed "
     "rdtscp sha-ni skip-l1dfl-vmentry smap smep spec-ctrl ssbd tsc-deadline x2apic xgetbv1 xsave xsavec xsaveopt "
     "vmx-apicv-register vmx-apicv-vid vmx-eptad vmx-eptp-switching vmx-pml vmx-posted-intr vmx-rdrand-exit "
     "vmx-rdseed-exit vmx-rdtscp-exit vmx-shadow-vmcs vmx-vmfunc vmx-vmwrite-vmexit-fields"},
    {"Denverton-v2", "", 6, 95, 1, 0x15, 0x80000008, kCommonCaches,
     "Intel Atom Processor (Denverton)", "no MPX, no MONITOR",
     "Denverton-v1", "-monitor -mpx"},
    {"Denverton-v3", "", 6, 95, 1, 0x15, 0x80000008, kCommonCaches,
     "Intel Atom Processor (Denverton)", "XSAVES, no MPX, no MONITOR",
     "Denverton-v2", "xsaves vmx-xsaves"},
    {"Snowridge-v1", "", 6, 134, 1, 0x1b, 0x80000008, kCommonCaches, "Intel Atom Processor (SnowRidge)", "",
     "Denverton-v1",
     "cldemote clwb core-capability gfni movdir64b movdiri split-lock-detect umip -rdctl-no -skip-l1dfl-vmentry"},
    {"Snowridge-v2", "", 6, 134, 1, 0x1b, 0x80000008, kCommonCaches, "Intel Atom Processor (Snowridge, no MPX)", "",
     "Snowridge-v1", "-mpx"},
    {"Snowridge-v3", "", 6, 134, 1, 0x1b, 0x80000008, kCommonCaches,
     "Intel Atom Processor (Snowridge, no MPX)", "XSAVES, no MPX",
     "Snowridge-v2", "xsaves vmx-xsaves"},
    {"Snowridge-v4", "", 6, 134, 1, 0x1b, 0x80000008, kCommonCaches,
     "Intel Atom Processor (Snowridge, no MPX)", "no split lock detect, no core-capability",
     "Snowridge-v3", "-core-capability -split-lock-detect"},
    // AMD and Hygon.
    {"Opteron_G1-v1", "", 15, 6, 1, 0x5, 0x80000008, kCommonCaches, "AMD Opteron 240 (Gen 1 Class Opteron)", "",
     "qemu64-v1", "vme -cx16 -lahf-lm -svm"},
    {"Opteron_G2-v1", "", 15, 6, 1, 0x5, 0x80000008, kCommonCaches, "AMD Opteron 22xx (Gen 2 Class Opteron)", "",
     "Opteron_G1-v1", "cx16 lahf-lm svm"},
    {"Opteron_G3-v1", "", 16, 2, 3, 0x5, 0x80000008, kCommonCaches, "AMD Opteron 23xx (Gen 3 Class Opteron)", "",
     "Opteron_G2-v1", "abm misalignsse monitor popcnt rdtscp sse4a"},
    {"phenom-v1", "", 16, 2, 3, 0x5, 0x8000001a, kCommonCaches, "AMD Phenom(tm) 9550 Quad-Core Processor", "",
     "Opteron_G3-v1", "3dnow 3dnowext fxsr-opt mmxext npt pdpe1gb -misalignsse"},
    {"Opteron_G4-v1", "", 21, 1, 2, 0xd, 0x8000001a, kCommonCaches, "AMD Opteron 62xx class CPU", "",
     "Opteron_G3-v1",
     "3dnowprefetch aes avx fma4 npt nrip-save pclmulqdq pdpe1gb sse4.1 sse4.2 ssse3 xop xsave -monitor"},
    {"Opteron_G5-v1", "", 21, 2, 0, 0xd, 0x8000001a, kCommonCaches, "AMD Opteron 63xx class CPU", "",
     "Opteron_G4-v1", "f16c fma tbm"},
    {"EPYC-v1", "", 23, 1, 2, 0xd, 0x8000001e, kZenCaches, "AMD EPYC Processor", "",
     "Opteron_G5-v1",
     "adx arat avx2 bmi1 bmi2 clflushopt cr8legacy fsgsbase fxsr-opt mmxext monitor movbe osvw rdrand rdseed "
     "sha-ni smap smep topoext xgetbv1 xsavec xsaveopt -fma4 -tbm -xop"},
    {"EPYC-v2", "EPYC-IBPB", 23, 1, 2, 0xd, 0x8000001e, kZenCaches, "AMD EPYC Processor (with IBPB)", "",
     "EPYC-v1", "ibpb"},
    {"EPYC-v3", "", 23, 1, 2, 0xd, 0x8000001e, kZenCaches, "AMD EPYC Processor", "",
     "EPYC-v2", "clzero perfctr-core xsaveerptr xsaves"},
    {"EPYC-Rome-v1", "", 23, 49, 0, 0xd, 0x8000001e, kZen2Caches, "AMD EPYC-Rome Processor", "",
     "EPYC-v3", "amd-stibp clwb rdpid umip wbnoinvd"},
    {"EPYC-Rome-v2", "", 23, 49, 0, 0xd, 0x8000001e, kZen2Caches, "AMD EPYC-Rome Processor", "",
     "EPYC-Rome-v1", "amd-ssbd ibrs"},
    {"EPYC-Milan-v1", "", 25, 1, 1, 0xd, 0x8000001e, kZen3Caches, "AMD EPYC-Milan Processor", "",
     "EPYC-Rome-v2", "erms fsrm invpcid pcid pku svme-addr-chk"},
    {"Dhyana-v1", "", 24, 0, 1, 0xd, 0x8000001e, kZenCaches, "Hygon Dhyana Processor", "",
     "EPYC-v1", "ibpb -aes -pclmulqdq -sha-ni"},
    {"Dhyana-v2", "", 24, 0, 1, 0xd, 0x8000001e, kZenCaches, "Hygon Dhyana Processor", "XSAVES",
     "Dhyana-v1", "xsaves"},

    // nandu's own: the levels of the x86-64 psABI (version 1.0, table 3.1) on a processor without a maker's habits.
    {"x86-64-v2", "", 15, 6, 1, 0xd, 0x80000008, kCommonCaches, "Common x86-64-v2 processor", "",
     "kvm64-v1", "lahf-lm popcnt sse4.1 sse4.2 ssse3"},
    {"x86-64-v3", "", 15, 6, 1, 0xd, 0x80000008, kCommonCaches, "Common x86-64-v3 processor", "",
     "x86-64-v2", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"},
    {"x86-64-v4", "", 15, 6, 1, 0xd, 0x80000008, kCommonCaches, "Common x86-64-v4 processor", "",
     "x86-64-v3", "avx512bw avx512cd avx512dq avx512f avx512vl"},
};
// clang-format on

void Set(FeatureSet* features, const Feature& feature, bool on) {
  const uint64_t bit = uint64_t{1} << feature.bit;
  (*features)[feature.word] = on ? (*features)[feature.word] | bit : (*features)[feature.word] & ~bit;
}

void Apply(FeatureSet* features, std::string_view word) {
  const bool on = !word.starts_with('-');
  word.remove_prefix(on ? 0 : 1);
  if (word.ends_with('*')) {
    word.remove_suffix(1);
    for (const Feature& feature : AllFeatures()) {
      if (feature.name.starts_with(word)) {
        Set(features, feature, on);
      }
    }
    return;
  }
  const std::span<const Feature> all = AllFeatures();
  auto feature =
      std::lower_bound(all.begin(), all.end(), word,
                       [](const Feature& each, std::string_view name) { return each.name < name; });
  NANDU_CHECK(feature != all.end() && feature->name == word, "the table of CPU models names known features");
  for (; feature != all.end() && feature->name == word; ++feature) {
    Set(features, *feature, on);
  }
}

}  // namespace

std::span<const NamedModel> NamedModels() { return kModels; }

std::string_view UnversionedName(const NamedModel& model) {
  constexpr std::string_view kFirst = "-v1";
  return model.name.ends_with(kFirst) ? model.name.substr(0, model.name.size() - kFirst.size())
                                      : std::string_view();
}

const NamedModel* FindNamedModel(std::string_view name) {
  if (name.empty()) {
    return nullptr;
  }
  for (const NamedModel& model : kModels) {
    if (name == model.name || name == model.alias || name == UnversionedName(model)) {
      return &model;
    }
  }
  return nullptr;
}

FeatureSet FeaturesOf(const NamedModel& model) {
  FeatureSet features;
  if (const NamedModel* like = FindNamedModel(model.like)) {
    features = FeaturesOf(*like);
  }
  for (std::string_view words = model.features; !words.empty();) {
    const size_t space = std::min(words.find(' '), words.size());
    Apply(&features, words.substr(0, space));
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return features;
}

}  // namespace nandu
