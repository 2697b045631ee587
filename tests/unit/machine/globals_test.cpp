#include "machine/globals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "machine/device_catalog.h"

namespace nandu {
namespace {

using testing::HasSubstr;

std::string With(std::string_view driver, const boost::json::object& options,
                 std::vector<GlobalConfig> globals) {
  const DeviceFactory* factory = FindDeviceFactory(driver).value();
  const auto result = WithGlobals(*factory, options, globals);
  return result ? JsonText(*result) : result.error().message;
}

TEST(Globals, FillInWhatADeviceDoesNotSay) {
  const std::vector<GlobalConfig> globals = {{"virtio-rng-pci", "max-bytes", "5"},
                                             {"virtio-rng-pci", "max-bytes", "6"},
                                             {"virtio-rng-pci", "period", "7"}};
  EXPECT_EQ(With("virtio-rng", {{"period", 9}}, globals), R"({"period": 9, "max-bytes": "6"})");
}

TEST(Globals, ReachTheDeviceByItsClassesToo) {
  EXPECT_EQ(With("virtio-rng-pci", {}, {{"virtio-rng-device", "max-bytes", "5"}}), R"({"max-bytes": "5"})");
  EXPECT_EQ(With("virtio-rng-pci", {}, {{"virtio-pci", "disable-legacy", "on"}}),
            R"({"disable-legacy": "on"})");
  EXPECT_EQ(With("virtio-rng-pci", {}, {{"pci-device", "multifunction", "on"}}),
            R"({"multifunction": "on"})");
}

TEST(Globals, ReachADevicesThreeNamesByWhatTheyHaveInCommon) {
  for (const std::string_view driver :
       {"virtio-rng-pci", "virtio-rng-pci-transitional", "virtio-rng-pci-non-transitional"}) {
    EXPECT_EQ(With(driver, {}, {{"virtio-rng-device", "max-bytes", "5"}}), R"({"max-bytes": "5"})");
    EXPECT_EQ(With(driver, {}, {{"virtio-rng-pci-base", "max-bytes", "5"}}), R"({"max-bytes": "5"})");
  }
  EXPECT_EQ(With("virtio-rng-pci-transitional", {}, {{"virtio-rng-pci", "max-bytes", "5"}}), "{}");
  EXPECT_THAT(With("virtio-rng-pci-transitional", {}, {{"virtio-pci", "disable-legacy", "on"}}),
              HasSubstr("there is no such property of 'virtio-rng-pci-transitional'"));
}

TEST(Globals, OfOtherDriversChangeNothing) {
  EXPECT_EQ(With("virtio-rng-pci", {}, {{"virtio-blk-pci", "serial", "x"}, {"e1000", "nonsense", "1"}}),
            "{}");
  EXPECT_EQ(With("isa-serial", {}, {{"virtio-pci", "disable-legacy", "on"}}), "{}");
}

TEST(Globals, UnknownPropertyNamesTheNearest) {
  EXPECT_THAT(
      With("virtio-rng-pci", {}, {{"virtio-rng-pci", "max-byte", "1"}}),
      HasSubstr("-global virtio-rng-pci.max-byte=1: there is no such property of 'virtio-rng-pci' (did "
                "you mean 'max-bytes'?)"));
}

TEST(DeviceSupport, ADeviceOfQemusIsRefusedByName) {
  const auto refused = FindDeviceFactory("usb-kbd");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message.find("device 'usb-kbd' is not served yet: it waits for USB"), 0U);
  EXPECT_EQ(refused.error().code, Errc::kUnsupported);
  EXPECT_EQ(FindDeviceFactory("Haswell-x86_64-cpu").error().code, Errc::kUnsupported);
  EXPECT_EQ(FindDeviceFactory("usb-kdb").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace nandu
