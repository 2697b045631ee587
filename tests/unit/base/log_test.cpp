#include "base/log.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>

#include "base/log_style.h"

namespace nandu {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Log, FileGetsLinesWithATimeAndALevel) {
  const std::string path = testing::TempDir() + "nandu-log-test";
  ASSERT_TRUE(SetLogFile(path).has_value());
  Log(LogLevel::kWarning, "the {} is full", "disk");
  Log(LogLevel::kDebug, "nobody asked for this");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_THAT(text.str(), MatchesRegex("[0-9-]+T[0-9:.]+ warning: the disk is full\n"));
  std::remove(path.c_str());
}

TEST(Log, FileThatCannotBeOpenedIsNamed) {
  const Result<> set = SetLogFile("/nonexistent/log");
  ASSERT_FALSE(set.has_value());
  EXPECT_THAT(set.error().message, HasSubstr("cannot open log file '/nonexistent/log': No such file"));
}

TEST(Log, MessagesBeginAsAskedFor) {
  EXPECT_EQ(MessagePrefix(), "");
  SetMessageStyle({.timestamp = true, .guest_name = "100% me"});
  EXPECT_THAT(MessagePrefix(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:]+\\.[0-9]+Z 100% me "));
  SetMessageStyle({});
  EXPECT_EQ(MessagePrefix(), "");
}

}  // namespace
}  // namespace nandu
