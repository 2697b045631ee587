#include "net/user_config.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace nandu {
namespace {

UserOptions Options(const boost::json::object& options) {
  return FromJson<UserOptions>(options, {.lenient = true}).value();
}

UserConfig Config(const UserOptions& options) {
  Result<UserConfig> config = UserConfigFrom(options);
  EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().message);
  return config ? *config : UserConfig{};
}

std::string Mistake(const UserOptions& options) {
  const Result<UserConfig> config = UserConfigFrom(options);
  return config ? "accepted" : config.error().message;
}

TEST(UserConfig, DefaultsAreQemus) {
  const UserConfig config = Config({});
  EXPECT_EQ(AddressText(config.network), "10.0.2.0");
  EXPECT_EQ(AddressText(config.mask), "255.255.255.0");
  EXPECT_EQ(AddressText(config.host), "10.0.2.2");
  EXPECT_EQ(AddressText(config.dns), "10.0.2.3");
  EXPECT_EQ(AddressText(config.dhcp_start), "10.0.2.15");
  EXPECT_TRUE(config.ipv4 && config.ipv6 && !config.restricted);
  EXPECT_EQ(config.prefix_bits, 64);
  EXPECT_EQ(config.prefix.s6_addr[0], 0xfe);
  EXPECT_EQ(config.host6.s6_addr[15], 2);
  EXPECT_EQ(config.dns6.s6_addr[15], 3);
}

TEST(UserConfig, AddressesFollowTheNetwork) {
  const UserConfig config = Config(Options({{"net", "192.168.76.9/24"}}));
  EXPECT_EQ(AddressText(config.network), "192.168.76.0");
  EXPECT_EQ(AddressText(config.host), "192.168.76.2");
  EXPECT_EQ(AddressText(Config(Options({{"net", "172.20.0.0"}})).mask), "255.240.0.0");
  EXPECT_EQ(AddressText(Config(Options({{"net", "10.9.0.0/255.255.0.0"}})).mask), "255.255.0.0");
}

TEST(UserConfig, OneFamilyTurnsTheOtherOff) {
  EXPECT_FALSE(Config(Options({{"ipv6", true}})).ipv4);
  EXPECT_FALSE(Config(Options({{"ipv4", true}})).ipv6);
  const UserConfig both = Config(Options({{"ipv4", true}, {"ipv6", true}}));
  EXPECT_TRUE(both.ipv4 && both.ipv6);
}

TEST(UserConfig, MistakesAreSentences) {
  EXPECT_EQ(Mistake(Options({{"ipv4", false}, {"ipv6", false}})),
            "ipv4=off and ipv6=off leave no network; drop one of them");
  EXPECT_EQ(Mistake(Options({{"host", "10.1.2.3"}})),
            "host=10.1.2.3 is not in the network 10.0.2.0; choose one that is, or another net=");
  EXPECT_EQ(Mistake(Options({{"net", "10.0.2.0/33"}})),
            "net=10.0.2.0/33: the mask is 4 to 29 bits, or written as 255.255.255.0");
  EXPECT_EQ(Mistake(Options({{"net", "ten"}})), "net=ten is no IPv4 address");
  EXPECT_EQ(Mistake(Options({{"dns", "10.0.2.2"}})), "dns= and host= are the same address; they must differ");
  EXPECT_EQ(Mistake(Options({{"ipv6-net", "fec0::/127"}})), "an IPv6 prefix of 127 bits leaves no addresses; 126 is the most");
  EXPECT_EQ(Mistake(Options({{"ipv6-host", "fd00::2"}})), "ipv6-host=fd00::2 does not begin with the prefix of ipv6-net=");
  EXPECT_NE(Mistake(Options({{"hostname", std::string(256, 'x')}})).find("256 bytes"), std::string::npos);
  EXPECT_NE(Mistake(Options({{"smb", "/srv"}})).find("smb= is not served"), std::string::npos);
}

TEST(UserConfig, HostForwardsAreQemus) {
  const HostForward full = ParseHostForward("udp:127.0.0.1:5353-10.0.2.9:53").value();
  EXPECT_TRUE(full.udp);
  EXPECT_EQ(AddressText(full.host), "127.0.0.1");
  EXPECT_EQ(full.host_port, 5353);
  EXPECT_EQ(AddressText(full.guest), "10.0.2.9");
  EXPECT_EQ(full.guest_port, 53);
  const HostForward least = ParseHostForward("::2222-:22").value();
  EXPECT_FALSE(least.udp);
  EXPECT_EQ(least.host.s_addr, 0U);
  EXPECT_EQ(ParseForwardedPort("tcp:127.0.0.1:2222")->host_port, 2222);
  for (const char* wrong : {"", "tcp", "tcp::2222", "sctp::1-:2", "tcp:here:1-:2", "tcp::70000-:2", "tcp::1-:0",
                            "tcp::1-:2x", "tcp::-:2", "tcp::1-2"}) {
    EXPECT_FALSE(ParseHostForward(wrong)) << wrong;
  }
}

TEST(UserConfig, GuestForwardsAreQemus) {
  const GuestForward program = ParseGuestForward("tcp:10.0.2.100:80-cmd:netcat 10.1.1.1 80").value();
  EXPECT_EQ(AddressText(program.server), "10.0.2.100");
  EXPECT_EQ(program.port, 80);
  EXPECT_EQ(program.command, "netcat 10.1.1.1 80");
  EXPECT_EQ(ParseGuestForward(":10.0.2.100:80-chardev:c0")->chardev, "chardev:c0");
  for (const char* wrong : {"udp:10.0.2.100:80-cmd:x", "tcp:10.0.2.100:80", "tcp:10.0.2.100:80-", "tcp:x:80-cmd:x",
                            "tcp:10.0.2.100:0-cmd:x", "tcp:10.0.2.100:80-cmd:"}) {
    EXPECT_FALSE(ParseGuestForward(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace nandu
