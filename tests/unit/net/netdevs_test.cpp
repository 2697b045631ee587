#include "net/netdevs.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace nandu {
namespace {

// Nothing here uses the VM.
struct Set : NetdevSet {
  explicit Set(std::unique_ptr<Opener> from = CreateInProcessOpener())
      : NetdevSet({*from, nullptr, nullptr, nullptr}), opener(std::move(from)) {}
  std::unique_ptr<Opener> opener;
};

std::string MistakeOf(std::string_view type, const boost::json::object& options) {
  Set set;
  const Result<> added = set.Add(type, "net0", options);
  return added ? "" : added.error().message;
}

TEST(Netdevs, KnownTypesThatAreNotServedSayWhatToUse) {
  EXPECT_EQ(MistakeOf("hubport", {}),
            "netdev 'net0': type 'hubport' is not supported; use a host bridge; known: bridge, dgram, socket, stream, tap, user");
  EXPECT_NE(MistakeOf("vde", {}).find("use -netdev stream"), std::string::npos);
}

TEST(Netdevs, AnUnknownTypeNamesTheNearest) {
  EXPECT_EQ(MistakeOf("tpa", {}), "netdev 'net0': no type 'tpa' (did you mean 'tap'?); known: bridge, dgram, socket, stream, tap, user");
}

TEST(Netdevs, AnUnknownOptionIsAnError) {
  EXPECT_NE(MistakeOf("tap", {{"ifnmae", "tap0"}}).find("ifname"), std::string::npos);
}

TEST(Netdevs, ANameThatIsNotThereIsASentence) {
  Set set;
  EXPECT_EQ(set.Claim("net0", "nic0").error().message, "no netdev 'net0'; add -netdev TYPE,id=net0");
  EXPECT_EQ(set.Remove("net0").error().message, "no netdev 'net0'");
}

}  // namespace
}  // namespace nandu
