// Caches as CPUID tells of them: what the models have, and how each leaf writes it down. Data and pure
// functions; any thread. Specifications: Intel SDM volume 2, CPUID leaves 2 (table 3-12) and 4; AMD APM
// volume 3, E.4.5, E.4.6 and E.4.15.
#pragma once

#include <array>
#include <cstdint>

namespace nandu {

using CpuidRegisters = std::array<uint32_t, 4>;  // EAX, EBX, ECX, EDX

struct CpuCache {
  enum class Type : uint8_t { kData = 1, kCode = 2, kUnified = 3 };
  Type type;
  uint32_t level;
  uint32_t ways;
  uint32_t sets;  // of lines of 64 bytes
  bool self_initializing;
  uint32_t properties;  // EDX of leaf 4. 1: WBINVD leaves lower levels of others alone, 2: inclusive, 4:
                        // complex index

  constexpr uint32_t bytes() const { return ways * sets * 64; }
};

struct CacheSet {
  CpuCache l1_data;
  CpuCache l1_code;
  CpuCache l2;
  CpuCache l3;
};

// Maker by maker, for models that have always shown different ones to readers of different leaves.
struct CpuCaches {
  CacheSet intel;                      // leaf 4
  CacheSet amd;                        // leaves 0x80000005, 0x80000006 and 0x8000001d
  std::array<uint8_t, 4> descriptors;  // leaf 2: L1 data, L1 code, L2, L3; 0xff: see leaf 4
};
extern const CpuCaches kCommonCaches;  // what QEMU's guests see unless the model says otherwise
extern const CpuCaches kZenCaches;
extern const CpuCaches kZen2Caches;
extern const CpuCaches kZen3Caches;

CpuidRegisters CacheDescriptors(const CpuCaches& caches, bool l3);  // leaf 2
// Leaves 4 and 0x8000001d; `sharing`: logical processors that share it, less one.
CpuidRegisters CacheParameters(const CpuCache& cache, uint32_t sharing);
CpuidRegisters AmdL1Caches(const CpuCaches& caches);           // leaf 0x80000005
CpuidRegisters AmdL2Caches(const CpuCaches& caches, bool l3);  // leaf 0x80000006

}  // namespace nandu
