#include "net/netdevs.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace nandu {
namespace {

std::string MistakeOf(std::string_view type, const boost::json::object& options) {
  NetdevSet set;
  const Result<> added = set.Add(type, "net0", options);
  return added ? "" : added.error().message;
}

TEST(Netdevs, KnownTypesThatAreNotServedSayWhatToUse) {
  EXPECT_EQ(MistakeOf("user", {}),
            "netdev 'net0': type 'user' is not supported; use -netdev tap; known: tap");
  EXPECT_NE(MistakeOf("bridge", {}).find("make a tap on the bridge"), std::string::npos);
  EXPECT_NE(MistakeOf("socket", {}), "");
  EXPECT_NE(MistakeOf("hubport", {}), "");
}

TEST(Netdevs, AnUnknownTypeNamesTheNearest) {
  EXPECT_EQ(MistakeOf("tpa", {}), "netdev 'net0': no type 'tpa' (did you mean 'tap'?); known: tap");
}

TEST(Netdevs, AnUnknownOptionIsAnError) {
  EXPECT_NE(MistakeOf("tap", {{"ifnmae", "tap0"}}).find("ifname"), std::string::npos);
}

TEST(Netdevs, ANameThatIsNotThereIsASentence) {
  NetdevSet set;
  EXPECT_EQ(set.Claim("net0", "nic0").error().message, "no netdev 'net0'; add -netdev TYPE,id=net0");
  EXPECT_EQ(set.Remove("net0").error().message, "no netdev 'net0'");
}

}  // namespace
}  // namespace nandu
