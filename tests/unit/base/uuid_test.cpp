#include "base/uuid.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

constexpr Uuid kKnown = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                         0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

TEST(Uuid, BytesAreInTheOrderTheyAreWritten) {
  EXPECT_EQ(ParseUuid("00112233-4455-6677-8899-aabbccddeeff"), kKnown);
  EXPECT_EQ(ParseUuid("00112233-4455-6677-8899-AABBCCDDEEFF"), kKnown);
}

TEST(Uuid, WhatIsNoneIsNone) {
  for (const char* text : {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
                           "00112233-4455-6677-8899_aabbccddeeff", "0011223g-4455-6677-8899-aabbccddeeff",
                           "00112233445566778899aabbccddeeff0000"}) {
    EXPECT_EQ(ParseUuid(text), std::nullopt) << text;
  }
}

TEST(Uuid, GuidHasItsFirstFieldsTurned) {
  EXPECT_EQ(ToGuid(kKnown), (Uuid{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb,
                                  0xcc, 0xdd, 0xee, 0xff}));
}

}  // namespace
}  // namespace nandu
