#include "cli/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace nandu {
namespace {

using testing::HasSubstr;

Result<std::vector<Token>> TokenizeWords(std::vector<std::string_view> words) { return Tokenize(words); }

TEST(Tokenizer, SingleAndDoubleDashAreTheSame) {
  const std::vector<std::string_view> words = {"-smp", "4", "--smp", "2"};
  const auto tokens = Tokenize(words);
  ASSERT_TRUE(tokens.has_value());
  ASSERT_EQ(tokens->size(), 2U);
  EXPECT_EQ((*tokens)[0].option, (*tokens)[1].option);
  EXPECT_EQ((*tokens)[1].value, "2");
}

TEST(Tokenizer, ValueMayBeginWithADash) {
  const std::vector<std::string_view> words = {"-append", "-quiet", "-S"};
  const auto tokens = Tokenize(words);
  ASSERT_TRUE(tokens.has_value());
  ASSERT_EQ(tokens->size(), 2U);
  EXPECT_EQ((*tokens)[0].value, "-quiet");
  EXPECT_EQ((*tokens)[1].option->name, "S");
}

TEST(Tokenizer, UnknownOptionNamesTheNearest) {
  const auto tokens = TokenizeWords({"-devcie", "x"});
  ASSERT_FALSE(tokens.has_value());
  EXPECT_THAT(tokens.error().message, HasSubstr("unknown option '-devcie' (did you mean 'device'?)"));
}

TEST(Tokenizer, MissingArgumentIsNamed) {
  const auto tokens = TokenizeWords({"-kernel"});
  ASSERT_FALSE(tokens.has_value());
  EXPECT_EQ(tokens.error().message, "option '-kernel' needs an argument");
}

TEST(Tokenizer, BareWordSaysHowToAttachADisk) {
  const auto tokens = TokenizeWords({"disk.raw"});
  ASSERT_FALSE(tokens.has_value());
  EXPECT_THAT(tokens.error().message, HasSubstr("-drive if=virtio,format=raw,file=disk.raw"));
}

TEST(OptionTable, NamesAreUniqueAndRefusalsHaveAReason) {
  std::set<std::string_view> names;
  for (const OptionSpec& option : OptionTable()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(option.handling == Handling::kWorks || !option.text.empty()) << option.name;
    EXPECT_EQ(option.handling == Handling::kPlanned, option.text.find("waits for") != option.text.npos)
        << option.name;
    EXPECT_EQ(option.handling == Handling::kWorks, !TestOf(option).empty()) << option.name;
  }
}

}  // namespace
}  // namespace nandu
