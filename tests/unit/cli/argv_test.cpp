// The command lines libvirt 9.0.0 gave QEMU 7.2, recorded (tests/golden/argv, one argument a line): every one
// is understood. What nandu does not have yet is refused by its name; nothing is called unknown, or
// malformed.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/builder.h"

namespace nandu {
namespace {

using testing::HasSubstr;

std::vector<std::string> Lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

class Argv : public testing::TestWithParam<std::string> {
 protected:
  Argv() : lines_(Lines(std::filesystem::path(NANDU_GOLDEN) / "argv" / GetParam())) {
    words_.assign(lines_.begin(), lines_.end());
  }

  std::vector<std::string> lines_;
  std::vector<std::string_view> words_;
};

std::vector<std::string> Recordings() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(NANDU_GOLDEN) / "argv")) {
    names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

TEST_P(Argv, RecordingsAreOptionsAndValues) {
  const auto tokens = Tokenize(words_);
  ASSERT_TRUE(tokens.has_value()) << tokens.error().message;
  std::vector<std::string_view> again;
  for (const Token& token : *tokens) {
    const std::string_view word = words_.at(again.size());
    EXPECT_EQ(word.substr(1), token.option->name);
    again.push_back(word);
    if (token.option->takes_value) {
      again.push_back(token.value);
    }
  }
  EXPECT_EQ(again, words_);
}

TEST_P(Argv, RecordingsAreUnderstood) {
  const auto tokens = Tokenize(words_);
  ASSERT_TRUE(tokens.has_value()) << tokens.error().message;
  CommandLine line;
  Builder builder(line);
  unsigned obeyed = 0;
  for (const Token& token : *tokens) {
    const Result<> served =
        CheckServed(Format("option '-{}'", token.option->name), token.option->handling, token.option->text);
    const Result<> taken = served ? builder.Take(token) : served;
    if (taken) {
      ++obeyed;
      continue;
    }
    EXPECT_EQ(taken.error().code, Errc::kUnsupported) << token.Text() << ": " << taken.error().message;
    EXPECT_GT(taken.error().message.size(), 20U) << token.Text();
  }
  EXPECT_GE(obeyed, tokens->size() / 2);  // most of every recording works today
  EXPECT_FALSE(line.answer.has_value());
}

INSTANTIATE_TEST_SUITE_P(Libvirt, Argv, testing::ValuesIn(Recordings()), [](const auto& recording) {
  std::string name = recording.param.substr(0, recording.param.find('.'));
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(Recordings, AreThere) { EXPECT_EQ(Recordings().size(), 21U); }

TEST(Recordings, WhatIsNotBuiltIsNamed) {
  const auto sentence = [](std::string_view option, std::string_view value) {
    const std::string_view words[] = {option, value};
    const auto line = ParseCommandLine(words);
    return line ? "accepted" : line.error().message;
  };
  EXPECT_THAT(sentence("-device", R"({"driver":"qemu-xhci","id":"usb"})"),
              HasSubstr("device 'qemu-xhci' is not served yet: it waits for USB"));
  EXPECT_THAT(sentence("-object", R"({"qom-type":"secret","id":"k"})"), HasSubstr("'secret' is not served"));
  EXPECT_THAT(sentence("-machine", "pc-q35-7.2,max-fw-size=1"),
              HasSubstr("max-fw-size=1 is not served: it waits for firmware"));
  EXPECT_THAT(sentence("-machine", "none,accel=kvm:tcg"), HasSubstr("'none' waits for libvirt's probe"));
  EXPECT_THAT(sentence("-spice", "port=5900"),
              HasSubstr("option '-spice' is not served yet: it waits for SPICE"));
  EXPECT_THAT(sentence("-icount", "1"),
              HasSubstr("option '-icount' is refused: it belongs to QEMU's translator"));
}

}  // namespace
}  // namespace nandu
