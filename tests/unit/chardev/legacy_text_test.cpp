#include "chardev/legacy_text.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu {
namespace {

std::string Options(const LegacyChardev& parsed) { return JsonText(boost::json::value(*parsed.options)); }

TEST(LegacyText, NoneIsNoDevice) {
  const auto parsed = ParseLegacyChardev("none", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, LegacyChardev::Kind::kNone);
}

TEST(LegacyText, ChardevNamesAnExistingOne) {
  const auto parsed = ParseLegacyChardev("chardev:charserial0", LegacyMux::kAllowed);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, LegacyChardev::Kind::kExisting);
  EXPECT_EQ(parsed->id, "charserial0");
}

TEST(LegacyText, StdioBehindMonLeavesCtrlCToTheGuest) {
  const auto parsed = ParseLegacyChardev("mon:stdio", LegacyMux::kAllowed);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->backend, "stdio");
  EXPECT_EQ(Options(*parsed), R"({"mux": "on", "signal": "off"})");
}

TEST(LegacyText, MonIsForSerialPortsOnly) {
  const auto parsed = ParseLegacyChardev("mon:stdio", LegacyMux::kRefused);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "'mon:stdio': mon: is for -serial; write 'stdio'");
}

TEST(LegacyText, UnixSocketWithLongOptions) {
  const auto parsed = ParseLegacyChardev("unix:/run/m.sock,server=on,wait=off", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->backend, "socket");
  EXPECT_EQ(Options(*parsed), R"({"path": "/run/m.sock", "server": "on", "wait": "off"})");
}

TEST(LegacyText, UnixSocketWithShortOptionsAndACommaInItsPath) {
  const auto parsed = ParseLegacyChardev("unix:/run/a,,b,server,nowait", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(Options(*parsed), R"({"path": "/run/a,b", "server": "on", "wait": "off"})");
}

TEST(LegacyText, TcpWithoutAHostListensEverywhere) {
  const auto parsed = ParseLegacyChardev("tcp::4444,server,nowait,nodelay", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(Options(*parsed),
            R"({"host": "", "port": "4444", "server": "on", "wait": "off", "nodelay": "on"})");
}

TEST(LegacyText, TcpTakesAnAddressInBrackets) {
  const auto parsed = ParseLegacyChardev("tcp:[::1]:4444", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(Options(*parsed), R"({"host": "::1", "port": "4444"})");
}

TEST(LegacyText, FileKeepsCommasInItsPath) {
  const auto parsed = ParseLegacyChardev("file:/tmp/a,b", LegacyMux::kRefused);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(Options(*parsed), R"({"path": "/tmp/a,b"})");
}

TEST(LegacyText, MistakesAreSentences) {
  EXPECT_EQ(ParseLegacyChardev("vc", LegacyMux::kAllowed).error().code, Errc::kUnsupported);
  EXPECT_EQ(ParseLegacyChardev("vc:80Cx24C", LegacyMux::kAllowed).error().code, Errc::kUnsupported);
  EXPECT_EQ(ParseLegacyChardev("telnet::44,server", LegacyMux::kAllowed).error().code, Errc::kUnsupported);
  EXPECT_EQ(ParseLegacyChardev("/dev/ttyS0", LegacyMux::kAllowed).error().code, Errc::kUnsupported);
  EXPECT_EQ(ParseLegacyChardev("stdoi", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("tcp:host", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("tcp:[::1", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("unix:/x,,,server,", LegacyMux::kAllowed).error().code,
            Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("mon:none", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("mon:mon:stdio", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(ParseLegacyChardev("", LegacyMux::kAllowed).error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace nandu
