#include "machine/memory_map.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kTiB = uint64_t{1} << 40;

TEST(MemoryMap, WhatReachesEcamIsSplitAtTwoGiB) {
  const MemoryMap map = MapMemory(0xb0000000, false);
  EXPECT_EQ(map.low_ram_bytes, 2 * kGiB);
  EXPECT_EQ(map.high_ram_bytes, 0x30000000);
  EXPECT_EQ(map.high_ram_base, 4 * kGiB);
}

TEST(MemoryMap, WhatStaysBelowEcamIsOnePiece) {
  const MemoryMap map = MapMemory(0xb0000000 - 0x1000, false);
  EXPECT_EQ(map.low_ram_bytes, 0xb0000000 - 0x1000);
  EXPECT_EQ(map.high_ram_bytes, 0);
}

// 2 GiB below and 976 above 4 GiB; 32 GiB of BARs then end where HyperTransport's range begins.
TEST(MemoryMap, AmdsMemoryMayReachTheHyperTransportRange) {
  const MemoryMap map = MapMemory(978 * kGiB, true);
  EXPECT_EQ(map.high_ram_base, 4 * kGiB);
  EXPECT_EQ(map.pci64_end(), kTiB - 12 * kGiB);
}

TEST(MemoryMap, AmdsMemoryThatWouldCoverItGoesAboveOneTiB) {
  const MemoryMap map = MapMemory(979 * kGiB, true);
  EXPECT_EQ(map.high_ram_base, kTiB);
  EXPECT_EQ(map.pci64_base(), kTiB + 977 * kGiB);
}

TEST(MemoryMap, IntelsMemoryIsInOnePieceFromFourGiBOn) {
  EXPECT_EQ(MapMemory(kTiB, false).high_ram_base, 4 * kGiB);
}

}  // namespace
}  // namespace nandu
