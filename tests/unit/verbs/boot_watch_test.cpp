// What a console tells of a boot: its stages, its end, and why it failed.
#include "verbs/boot_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

BootWatch Watch(const std::string& expect = "") { return BootWatch::Create(expect).value(); }

std::vector<std::string> Stages(const BootWatch& watch) {
  std::vector<std::string> names;
  for (const StageMark& mark : watch.stages()) {
    names.push_back(Format("{} {}", NameOf(mark.stage), mark.begin_ms));
  }
  return names;
}

std::string FailureOf(const std::string& text) {
  BootWatch watch = Watch();
  watch.Feed(text, 1);
  return watch.failure().value_or("none");
}

TEST(BootWatch, StagesBeginWhereTheirFirstLineAppears) {
  BootWatch watch = Watch();
  watch.Feed("Welcome to GRUB!\r\n", 1000);
  watch.Feed("[    0.000000] Linux version 6.1.0-57-amd64 (debian-kernel)\r\n", 2000);
  watch.Feed("[    3.1] Run /init as init process\r\nsystemd[1]: Inserted module\r\n", 3000);
  watch.Feed("[   19.4] cloud-init[263]: Cloud-init v. 22.4.2 running 'init-local'\r\n", 4000);
  EXPECT_FALSE(watch.reached());
  watch.Feed("\r\nDebian GNU/Linux 12 debian ttyS0\r\n\r\ndebian login: ", 5000);
  EXPECT_TRUE(watch.reached());
  EXPECT_THAT(Stages(watch), ElementsAre("firmware 0", "boot loader 1000", "kernel 2000", "init 3000",
                                         "cloud-init 4000", "login 5000"));
  EXPECT_FALSE(watch.failure().has_value());
}

TEST(BootWatch, BytesMayComeOneByOne) {
  BootWatch watch = Watch();
  for (const char c :
       std::string("\x1b[2J\x1b[1;1HGNU GRUB  version 2.06\x1b[0m\x1b[3;3HLinux version 6\r\nhost login: ")) {
    watch.Feed({&c, 1}, 7);
  }
  EXPECT_THAT(Stages(watch), ElementsAre("firmware 0", "boot loader 7", "kernel 7", "login 7"));
}

TEST(BootWatch, ALaterStagesLineIsNotTakenForAnEarlierOne) {
  BootWatch watch = Watch();
  watch.Feed("systemd[1]: x\nLinux version 6\n", 1);
  EXPECT_THAT(Stages(watch), ElementsAre("firmware 0", "init 1"));
}

TEST(BootWatch, OnlyOneWordStandsBeforeALoginPrompt) {
  BootWatch watch = Watch();
  watch.Feed("Please use your login:\nlast login: yesterday\n login: ", 1);
  EXPECT_FALSE(watch.reached());
}

TEST(BootWatch, TheExpectedTextReplacesTheLogin) {
  BootWatch watch = Watch("^ready: [0-9]+$");
  watch.Feed("host login: \nready: x\nit is ready: 1\n", 1);
  EXPECT_FALSE(watch.reached());
  watch.Feed("ready: 4", 2);  // a prompt has no line end
  EXPECT_TRUE(watch.reached());
  EXPECT_THAT(BootWatch::Create("a(").error().message, HasSubstr("--expect 'a('"));
}

TEST(BootWatch, APanicIsToldWhole) {
  BootWatch watch = Watch();
  watch.Feed("[ 1.0] Kernel panic - not syncing: VFS: Unable to mount", 1);
  EXPECT_FALSE(watch.failure().has_value()) << "the line goes on";
  watch.Feed(" root fs on unknown-block(0,0)\r\n[ 1.1] ---[ end Kernel panic - not syncing: other ]---\r\n",
             2);
  EXPECT_EQ(watch.failure(), "kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)");
}

TEST(BootWatch, AFailureBringsTheComplaintBeforeIt) {
  EXPECT_EQ(FailureOf("[FAILED] Failed to mount /data.\nYou are in emergency mode. After logging in, type\n"),
            "init gave up and went to emergency mode: [FAILED] Failed to mount /data.");
  EXPECT_EQ(FailureOf("ALERT!  LABEL=x does not exist.  Dropping to a shell!\n"),
            "the initramfs gave up and dropped to a shell");
  EXPECT_EQ(FailureOf("ALERT!  LABEL=x does not exist.\n(initramfs) "),
            "the initramfs gave up and dropped to a shell: ALERT!  LABEL=x does not exist.");
  EXPECT_EQ(FailureOf("error: unknown filesystem.\ngrub rescue> "),
            "the boot loader is broken, GRUB is in its rescue shell: error: unknown filesystem.");
  EXPECT_EQ(FailureOf("\ngrub> "), "the boot loader has nothing to boot, GRUB waits for commands");
  EXPECT_THAT(FailureOf("BdsDxe: No bootable option or device was found.\r\n"),
              HasSubstr("found nothing to boot"));
  EXPECT_EQ(FailureOf("You are welcome\n"), "none");
}

TEST(BootWatch, SeaBiosSpeaksOnItsDebugPort) {
  BootWatch watch = Watch();
  watch.FeedFirmware("Booting from Hard Disk...\nBoot failed: not a bootable disk\nNo boot");
  EXPECT_FALSE(watch.failure().has_value());
  watch.FeedFirmware("able device.  Retrying in 60 seconds.\n");
  EXPECT_THAT(watch.failure().value(), HasSubstr("found nothing to boot"));
}

TEST(BootWatch, TheLastLineSaysWhereItWas) {
  BootWatch watch = Watch();
  watch.Feed("one\r\n  two  \r\n\r\n\x1b[K\r\n", 1);
  EXPECT_EQ(watch.last_line(), "two");
}

TEST(BootWatch, AGuestThatPrintsNoLineEndCostsLittle) {
  BootWatch watch = Watch();
  for (int i = 0; i < 1000; ++i) {
    watch.Feed(std::string(1000, 'x'), 1);
  }
  watch.Feed("\nhost login: ", 2);
  EXPECT_TRUE(watch.reached());
}

}  // namespace
}  // namespace nandu
