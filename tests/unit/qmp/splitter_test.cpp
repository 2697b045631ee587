#include "qmp/splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;

void Append(JsonSplitter& splitter, std::string_view text) {
  splitter.Append(std::as_bytes(std::span(text)));
}

// Every text, refusals in angle brackets.
std::vector<std::string> All(JsonSplitter& splitter) {
  std::vector<std::string> all;
  while (std::optional<JsonSplitter::Text> text = splitter.Next()) {
    all.push_back(text->refusal.empty() ? text->json : "<" + text->refusal + ">");
  }
  return all;
}
std::vector<std::string> Split(std::string_view text) {
  JsonSplitter splitter(1000);
  Append(splitter, text);
  return All(splitter);
}

TEST(JsonSplitter, ObjectsNeedNoSeparator) {
  EXPECT_THAT(Split(R"({"a":1}{"b":[{}]} [1]"x")"),
              ElementsAre(R"({"a":1})", R"({"b":[{}]})", "[1]", R"("x")"));
}

TEST(JsonSplitter, BytewiseInputGivesTheSame) {
  JsonSplitter splitter(1000);
  std::vector<std::string> all;
  for (const char c : std::string_view("{\"a\": \"}\\\"\"} 12\r\n")) {
    Append(splitter, {&c, 1});
    const std::vector<std::string> now = All(splitter);
    all.insert(all.end(), now.begin(), now.end());
  }
  EXPECT_THAT(all, ElementsAre(R"({"a": "}\""})", "12"));
}

TEST(JsonSplitter, BracketsInStringsDoNotCount) {
  EXPECT_THAT(Split(R"({"a":"}]\\"}{"b":"\"{"})"), ElementsAre(R"({"a":"}]\\"})", R"({"b":"\"{"})"));
}

TEST(JsonSplitter, SingleQuotesBecomeDouble) {
  EXPECT_THAT(Split(R"({'execute':'say "hi" isn\'t it'})"),
              ElementsAre(R"({"execute":"say \"hi\" isn't it"})"));
}

TEST(JsonSplitter, WordsEndAtSpaceOrBracket) {
  EXPECT_THAT(Split("nonsense{}12 "), ElementsAre("nonsense", "{}", "12"));
}

TEST(JsonSplitter, StrayClosingBracketIsRefusedAndForgotten) {
  EXPECT_THAT(Split("}{}"), ElementsAre("<JSON text: '}' closes nothing>", "{}"));
}

TEST(JsonSplitter, LineBreakInAStringStartsAfresh) {
  EXPECT_THAT(Split("{\"a\": \"forgotten\n{}"),
              ElementsAre("<JSON text: a line break or control character stands inside a string>", "{}"));
}

TEST(JsonSplitter, TextsAreBounded) {
  JsonSplitter splitter(8);
  Append(splitter, "[1,2,3,4,");
  EXPECT_THAT(All(splitter), ElementsAre("<a command is longer than 8 bytes>"));
  Append(splitter, "[1,2,3]");
  EXPECT_THAT(All(splitter), ElementsAre("[1,2,3]"));
}

}  // namespace
}  // namespace nandu::testing
