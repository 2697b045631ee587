#include "base/number_text.h"

#include <gtest/gtest.h>

namespace nandu::testing {
namespace {

TEST(ParseSize, NumbersAndSuffixes) {
  EXPECT_EQ(ParseSize("0"), 0U);
  EXPECT_EQ(ParseSize("4096"), 4096U);
  EXPECT_EQ(ParseSize("0x1000"), 4096U);
  EXPECT_EQ(ParseSize("512B"), 512U);
  EXPECT_EQ(ParseSize("4k"), 4096U);
  EXPECT_EQ(ParseSize("1M"), 1U << 20);
  EXPECT_EQ(ParseSize("1.5G"), 3ULL << 29);
  EXPECT_EQ(ParseSize("2T"), 2ULL << 40);
  EXPECT_EQ(ParseSize("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseSize("15E"), 15ULL << 60);
}

TEST(ParseSize, PlainUnitMultipliesWhatHasNoSuffix) {
  EXPECT_EQ(ParseSize("512", 1 << 20), 512ULL << 20);
  EXPECT_EQ(ParseSize("0.5", 1 << 20), 1ULL << 19);
  EXPECT_EQ(ParseSize("512B", 1 << 20), 512U);
}

TEST(ParseSize, WhatIsNoneIsRefused) {
  for (const char* text : {"", " 1", "1 ", "-1", "+1", "k", "1kk", "1x", "0x", "0xg", "0x1k", "1.", ".5G",
                           "0.5", "1.1234567G", "18446744073709551616", "16E", "17179869184G", "1e3"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
}

TEST(ParseSignedSize, BothEndsOfTheRange) {
  EXPECT_EQ(ParseSignedSize("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseSignedSize("-9223372036854775809"), std::nullopt);
  EXPECT_EQ(ParseSignedSize("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseSignedSize("9223372036854775808"), std::nullopt);
  EXPECT_EQ(ParseSignedSize("-4k"), -4096);
  EXPECT_EQ(ParseSignedSize("--1"), std::nullopt);
}

TEST(ParseSwitch, WordsOfBothKinds) {
  EXPECT_EQ(ParseSwitch("on"), true);
  EXPECT_EQ(ParseSwitch("yes"), true);
  EXPECT_EQ(ParseSwitch("off"), false);
  EXPECT_EQ(ParseSwitch("n"), false);
  EXPECT_EQ(ParseSwitch("ON"), std::nullopt);
  EXPECT_EQ(ParseSwitch("1"), std::nullopt);
  EXPECT_EQ(ParseSwitch(""), std::nullopt);
}

TEST(ParseDouble, FiniteNumbersOnly) {
  EXPECT_EQ(ParseDouble("-2.5e3"), -2500.0);
  EXPECT_EQ(ParseDouble("inf"), std::nullopt);
  EXPECT_EQ(ParseDouble("nan"), std::nullopt);
  EXPECT_EQ(ParseDouble("1x"), std::nullopt);
}

}  // namespace
}  // namespace nandu::testing
