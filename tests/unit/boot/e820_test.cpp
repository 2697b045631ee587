#include "boot/e820.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

TEST(E820, SmallGuestHasTheRangesOfQemusQ35) {
  const std::vector<E820Entry> expected = {
      {0x0, 0x9fc00, E820Type::kRam},
      {0x9fc00, 0x400, E820Type::kReserved},
      {0xf0000, 0x10000, E820Type::kReserved},
      {0x100000, 0xfee0000, E820Type::kRam},
      {0xffe0000, 0x20000, E820Type::kReserved},
      {0xb0000000, 0x10000000, E820Type::kReserved},
      {0xfed1c000, 0x4000, E820Type::kReserved},
      {0xfeffc000, 0x4000, E820Type::kReserved},
      {0xfffc0000, 0x40000, E820Type::kReserved},
  };
  EXPECT_EQ(BuildE820({.low_ram_bytes = 256 << 20}, 0x20000), expected);
}

TEST(E820, HighMemoryFollowsFourGiB) {
  const auto map = BuildE820({.low_ram_bytes = 0x80000000, .high_ram_bytes = 0x180000000}, 0x20000);
  EXPECT_EQ(map.back(), (E820Entry{0x100000000, 0x180000000, E820Type::kRam}));
}

TEST(E820, MemoryAboveATerabyteFollowsHyperTransportsHole) {
  const auto map = BuildE820({.low_ram_bytes = 0x80000000,
                              .high_ram_bytes = uint64_t{1000} << 30,
                              .high_ram_base = uint64_t{1} << 40,
                              .hypertransport_hole = true},
                             0x20000);
  EXPECT_EQ(map[map.size() - 2], (E820Entry{0xfd00000000, 0x300000000, E820Type::kReserved}));
  EXPECT_EQ(map.back(), (E820Entry{0x10000000000, uint64_t{1000} << 30, E820Type::kRam}));
}

TEST(E820, HyperTransportsHoleIsReserved) {
  const auto map = BuildE820({.low_ram_bytes = 256 << 20, .hypertransport_hole = true}, 0x20000);
  EXPECT_EQ(map.back(), (E820Entry{0xfd00000000, 0x300000000, E820Type::kReserved}));
}

}  // namespace
}  // namespace nandu
