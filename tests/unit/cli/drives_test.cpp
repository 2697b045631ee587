// -drive and its short forms: which image becomes which drive, as QEMU's q35 has it.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

#include "cli/config_builder.h"

namespace nandu {
namespace {

// "driver bus drive" of each device, then each drive's id, with "(empty)" where it has no image; or the
// error.
std::string Built(const std::vector<std::string_view>& words) {
  const auto built = ParseCommandLine(words);
  if (!built) {
    return built.error().message;
  }
  std::string text;
  for (const DeviceConfig& device : built->config.devices) {
    const auto value = [&](std::string_view key) {
      const boost::json::value* found = device.options.values.if_contains(key);
      return found != nullptr ? std::string(found->as_string()) : std::string("-");
    };
    text += Format("{} {} {}; ", device.driver, value("bus"), value("drive"));
  }
  for (const DriveConfig& drive : built->config.drives) {
    text += Format("{}{} ", drive.id, drive.empty ? "(empty)" : "");
  }
  return text;
}

TEST(Drives, AnEmptyCdromDriveIsThereUnlessSaidOtherwise) {
  EXPECT_EQ(Built({"-vga", "none"}), "ide-cd ide.2 ide2-cd0; ide2-cd0(empty) ");
  EXPECT_EQ(Built({"-nodefaults"}), "");
  EXPECT_EQ(Built({"-vga", "none", "-device", "ide-hd,drive=x,bus=ide.0"}), "ide-hd ide.0 x; ");
  EXPECT_EQ(Built({"-vga", "none", "-cdrom", "a.iso"}), "ide-cd ide.2 ide2-cd0; ide2-cd0 ");
}

TEST(Drives, SnapshotIsEveryDrives) {
  const std::string_view words[] = {"-nodefaults", "-hda", "a", "-drive", "file=b,if=virtio,snapshot=off",
                                    "-snapshot"};
  const auto built = ParseCommandLine(words);
  ASSERT_TRUE(built.has_value());
  ASSERT_EQ(built->config.drives.size(), 2U);
  EXPECT_EQ(built->config.drives[0].options.values.at("snapshot"), "on");
  EXPECT_EQ(built->config.drives[1].options.values.at("snapshot"), "off");
}

TEST(Drives, ShortFormsNameTheirPorts) {
  EXPECT_EQ(Built({"-nodefaults", "-hda", "a", "-hdb", "b", "-hdc", "c", "-hdd", "d"}),
            "ide-hd ide.0 ide0-hd0; ide-hd ide.1 ide1-hd0; ide-hd ide.2 ide2-hd0; ide-hd ide.3 ide3-hd0; "
            "ide0-hd0 ide1-hd0 ide2-hd0 ide3-hd0 ");
}

TEST(Drives, IdeIsTheDefaultAndTakesTheFirstFreePort) {
  EXPECT_EQ(Built({"-nodefaults", "-drive", "file=a", "-drive", "file=b,if=ide,index=3,id=x", "-drive",
                   "file=c,media=cdrom"}),
            "ide-hd ide.0 ide0-hd0; ide-hd ide.3 x; ide-cd ide.1 ide1-cd0; ide0-hd0 x ide1-cd0 ");
  EXPECT_EQ(Built({"-hda", "a", "-drive", "file=b,index=0"}),
            "-drive file=b,index=0: SATA port 0 has a drive already; choose another with index=");
  EXPECT_EQ(Built({"-nodefaults", "-drive", "if=none,id=cd,media=cdrom", "-device", "ide-cd,drive=cd"}),
            "ide-cd - cd; cd(empty) ");
}

}  // namespace
}  // namespace nandu
