// A session on a serial console: what is typed when, and what comes of it.
#include "verbs/login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nandu {
namespace {

using testing::HasSubstr;

TEST(LoginSession, RunsACommandAndBringsItsOutput) {
  LoginSession session("me", "secret", "echo 'a b'; exit 3");
  EXPECT_EQ(session.Feed("debian login: "), "me\n");
  EXPECT_EQ(session.Feed("me\r\nPass"), "");
  EXPECT_EQ(session.Feed("word: "), "secret\n");
  EXPECT_EQ(session.Feed("\r\nLinux debian 6.1\r\n"), "");
  const std::string command = session.Feed("\x1b[?2004hme@debian:~$ ");
  EXPECT_THAT(command, HasSubstr("sh -c 'echo '\\''a b'\\''; exit 3'"));
  EXPECT_THAT(command, HasSubstr("cloud-init status --wait"));
  EXPECT_EQ(session.Feed(command), "") << "the echo of what was typed is no result";
  EXPECT_FALSE(session.status().has_value());
  EXPECT_EQ(session.Feed("\r\nNANDU-COMMAND-BEGIN\r\na b\r\n"), "");
  EXPECT_EQ(session.Feed("\r\nNANDU-COMMAND-END 3"), "");
  EXPECT_FALSE(session.status().has_value()) << "the number may go on";
  session.Feed("\r\n");
  EXPECT_EQ(session.status(), 3);
  EXPECT_EQ(session.output(), "a b\n");
}

TEST(LoginSession, TriesAgainWhereTheUserIsNotThereYet) {
  LoginSession session("me", "secret", "true");
  session.Feed("login: ");
  session.Feed("Password: ");
  EXPECT_EQ(session.Feed("\r\nLogin incorrect\r\n"), "");
  EXPECT_EQ(session.Feed("debian login: "), "me\n");
  EXPECT_EQ(session.Feed("Password: "), "secret\n");
}

TEST(LoginSession, NoOutputIsNone) {
  LoginSession session("root", "x", "true");
  session.Feed("login:");
  session.Feed("Password:");
  session.Feed("# ");
  session.Feed("\r\nNANDU-COMMAND-BEGIN\r\n\r\nNANDU-COMMAND-END 0\r\n");
  EXPECT_EQ(session.status(), 0);
  EXPECT_EQ(session.output(), "");
}

TEST(LoginSession, SaysWhatItWaitsFor) {
  LoginSession session("me", "secret", "true");
  EXPECT_EQ(session.what_is_missing(), "a login prompt that takes the user");
  session.Feed("login:");
  EXPECT_EQ(session.what_is_missing(), "a password prompt");
  session.Feed("Password:");
  EXPECT_EQ(session.what_is_missing(), "a shell's prompt");
  session.Feed("$ ");
  EXPECT_EQ(session.what_is_missing(), "the end of the command");
}

}  // namespace
}  // namespace nandu
