#include "base/json.h"

#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

namespace nandu::testing {
namespace {

using ::testing::HasSubstr;

std::string RoundTrip(std::string_view text) {
  const Result<boost::json::value> value = ParseJson(text);
  return value ? JsonText(*value) : value.error().message;
}
std::string Refusal(std::string_view text, const JsonLimits& limits = {}) {
  const Result<boost::json::value> value = ParseJson(text, limits);
  EXPECT_FALSE(value.has_value()) << text;
  return value ? std::string() : value.error().message;
}
std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJson, ValuesOfAllKinds) {
  EXPECT_EQ(RoundTrip(R"( {"a" : [1, -2, 0.5, 1e3, true, false, null, "x", {}, []]} )"),
            R"({"a": [1, -2, 0.5, 1000.0, true, false, null, "x", {}, []]})");
}

TEST(ParseJson, IntegersKeep64Bits) {
  EXPECT_EQ(RoundTrip("[18446744073709551615, 9223372036854775808, -9223372036854775808]"),
            "[18446744073709551615, 9223372036854775808, -9223372036854775808]");
  EXPECT_EQ(RoundTrip("18446744073709551616"), "18446744073709551616.0");
}

TEST(ParseJson, DuplicateKeysAreRefusedWhereverTheyStand) {
  EXPECT_THAT(Refusal(R"({"a": 1, "b": {"c": 1, "d": 2, "c": 3}})"), HasSubstr("duplicate key 'c'"));
  EXPECT_THAT(Refusal(R"({"key": 1, "k\u0065y": 2})"), HasSubstr("duplicate key 'key'"));
  EXPECT_EQ(RoundTrip(R"({"a": {"a": [{"a": 1}, {"a": 2}]}})"), R"({"a": {"a": [{"a": 1}, {"a": 2}]}})");
}

TEST(ParseJson, WhatIsNoJsonIsRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("JSON text at byte 0"));
  EXPECT_THAT(Refusal("{} {}"), HasSubstr("something follows the value"));
  for (const std::string_view text : {"{", "[1,]", "{\"a\"}", "nul", "01", "+1", "NaN", "'x'", "\"\\x\"",
                                      "\"\x01\"", "\"\xff\"", "\"\\ud800\"", "[1 2]", "/*c*/1", "1e999999"}) {
    EXPECT_FALSE(ParseJson(text).has_value()) << text;
  }
}

TEST(ParseJson, LimitsHold) {
  EXPECT_TRUE(ParseJson(Nested(64)).has_value());
  EXPECT_THAT(Refusal(Nested(65)), HasSubstr("JSON text at byte 64"));
  EXPECT_THAT(Refusal(Nested(1'000'000), {.max_depth = 10}), HasSubstr("JSON text at byte 10"));
  EXPECT_THAT(Refusal("[1, 2, 3]", {.max_bytes = 8}), HasSubstr("longer than 8"));
  EXPECT_THAT(Refusal("[1, 2, 3]", {.max_values = 3}), HasSubstr("too many values"));
  EXPECT_TRUE(ParseJson("[1, 2, 3]", {.max_values = 4}).has_value());
}

TEST(JsonText, EverythingOutsidePrintableAsciiIsEscaped) {
  EXPECT_EQ(JsonText("\"\\\b\f\n\r\t\x01\x7f/"), R"("\"\\\b\f\n\r\t\u0001\u007f/")");
  EXPECT_EQ(JsonText("\xc3\xa9 \xf0\x9f\x98\x80"), R"("\u00e9 \ud83d\ude00")");
}

TEST(JsonText, WhatIsNoUtf8IsReplaced) {
  EXPECT_EQ(JsonText("\xff"), R"("\ufffd")");
  EXPECT_EQ(JsonText("\xc0\x80"), R"("\ufffd\ufffd")");                      // overlong
  EXPECT_EQ(JsonText("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");            // a surrogate
  EXPECT_EQ(JsonText("\xe2\x82"), R"("\ufffd\ufffd")");                      // cut off
  EXPECT_EQ(JsonText("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // above U+10FFFF
}

TEST(JsonText, DoublesComeBackToTheLastBit) {
  for (const double number :
       {0.1, 1.0 / 3, 6.6666666666666661e59, 5e-324, 1.7976931348623157e308, -2.2250738585072014e-308}) {
    EXPECT_EQ(ParseJson(JsonText(number))->as_double(), number);
  }
}

TEST(JsonText, DoublesComeBackAsDoubles) {
  EXPECT_EQ(RoundTrip("[1.0, 0.1, 1e300, -0.0]"), "[1.0, 0.1, 1e+300, -0.0]");
  EXPECT_EQ(JsonText(std::numeric_limits<double>::infinity()), "null");
}

TEST(PrettyJsonText, IndentsByFour) {
  EXPECT_EQ(PrettyJsonText(*ParseJson(R"({"a": [1, {}], "b": []})")),
            "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": []\n}");
}

}  // namespace
}  // namespace nandu::testing
