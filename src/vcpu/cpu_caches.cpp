#include "vcpu/cpu_caches.h"

namespace nandu {
namespace {

constexpr uint32_t kLineBytes = 64;
constexpr uint32_t kKib = 1024;

constexpr uint32_t kLeavesOthersAlone = 1, kInclusive = 2, kComplex = 4;

using Type = CpuCache::Type;
constexpr CpuCache kL1Data32K = {Type::kData, 1, 8, 64, true, kLeavesOthersAlone};
constexpr CpuCache kL1Code32K = {Type::kCode, 1, 8, 64, true, kLeavesOthersAlone};
constexpr CpuCache kL1Code64K = {Type::kCode, 1, 4, 256, true, kLeavesOthersAlone};
constexpr CpuCache kZenL2 = {Type::kUnified, 2, 8, 1024, false, 0};  // 512 KiB
constexpr CpuCache L3(uint32_t sets) { return {Type::kUnified, 3, 16, sets, true, kInclusive | kComplex}; }

constexpr CacheSet kZen = {kL1Data32K, kL1Code64K, kZenL2, L3(8192)};    // 8 MiB
constexpr CacheSet kZen2 = {kL1Data32K, kL1Code32K, kZenL2, L3(16384)};  // 16 MiB
constexpr CacheSet kZen3 = {kL1Data32K, kL1Code32K, kZenL2, L3(32768)};  // 32 MiB

// APM, E.4.6: ways as 0x80000006 writes them.
constexpr uint32_t AmdWays(uint32_t ways) { return ways == 16 ? 8 : 6; }

constexpr uint32_t AmdL1(const CpuCache& cache) {
  return cache.bytes() / kKib << 24 | cache.ways << 16 | 1U << 8 | kLineBytes;
}

}  // namespace

constexpr CpuCaches kCommonCaches = {
    .intel = {kL1Data32K, kL1Code32K, {Type::kUnified, 2, 16, 4096, true, kLeavesOthersAlone}, L3(16384)},
    .amd = {{Type::kData, 1, 2, 512, true, kLeavesOthersAlone},
            {Type::kCode, 1, 2, 512, true, kLeavesOthersAlone},
            {Type::kUnified, 2, 16, 512, false, 0},
            L3(16384)},
    .descriptors = {0x2c, 0x30, 0x7d, 0x4d},  // of a smaller L2
};
constexpr CpuCaches kZenCaches = {kZen, kZen, {0x2c, 0xff, 0x80, 0x4b}};
constexpr CpuCaches kZen2Caches = {kZen2, kZen2, {0x2c, 0x30, 0x80, 0x4d}};
constexpr CpuCaches kZen3Caches = {kZen3, kZen3, {0x2c, 0x30, 0x80, 0xff}};

CpuidRegisters CacheDescriptors(const CpuCaches& caches, bool l3) {
  const std::array<uint8_t, 4>& d = caches.descriptors;
  // AL: this leaf is read once.
  return {1, 0, l3 ? d[3] : 0U, uint32_t{d[0]} << 16 | uint32_t{d[1]} << 8 | d[2]};
}

CpuidRegisters CacheParameters(const CpuCache& cache, uint32_t sharing) {
  return {static_cast<uint32_t>(cache.type) | cache.level << 5 | (cache.self_initializing ? 1U << 8 : 0U) |
              sharing << 14,
          (kLineBytes - 1) | (cache.ways - 1) << 22, cache.sets - 1, cache.properties};
}

CpuidRegisters AmdL1Caches(const CpuCaches& caches) {
  constexpr uint32_t kTlb = 0x01ff01ff;  // 255 entries each, fully associative
  return {kTlb, kTlb, AmdL1(caches.amd.l1_data), AmdL1(caches.amd.l1_code)};
}

CpuidRegisters AmdL2Caches(const CpuCaches& caches, bool l3) {
  constexpr uint32_t kTlb = 0x42004200;  // 512 entries each, 4 ways, of 4 KiB pages
  constexpr uint32_t kL3Unit = 512 * kKib;
  const CpuCache& second = caches.amd.l2;
  const CpuCache& third = caches.amd.l3;
  return {0, kTlb, second.bytes() / kKib << 16 | AmdWays(second.ways) << 12 | 1U << 8 | kLineBytes,
          l3 ? third.bytes() / kL3Unit << 18 | AmdWays(third.ways) << 12 | 1U << 8 | kLineBytes : 0U};
}

}  // namespace nandu
