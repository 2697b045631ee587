// From an image and a few wishes to QEMU's words, which the command line's own parser takes.
#include "verbs/run_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/config_builder.h"
#include "verbs/image_facts.h"

namespace nandu {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

RunOptions Options() {
  RunOptions options;
  options.image = "/vm/a,b.qcow2";
  options.name = "web";
  return options;
}

std::vector<std::string> Plan(const RunOptions& options, const RunPlaces& places = {}) {
  const auto words = PlanRun(options, "qcow2", std::vector<std::string>(options.disks.size(), "raw"), places);
  EXPECT_TRUE(words.has_value()) << words.error().message;
  return words.value_or(std::vector<std::string>{});
}

std::string Refused(const RunOptions& options) {
  const auto words = PlanRun(options, "raw", std::vector<std::string>(options.disks.size(), "raw"), {});
  return words ? "planned" : words.error().message;
}

MachineConfig Config(const std::vector<std::string>& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  const auto line = ParseCommandLine(views);
  EXPECT_TRUE(line.has_value()) << (line ? "" : line.error().message);
  return line ? line->config : MachineConfig{};
}

TEST(RunPlan, IsACommandLine) {
  RunOptions options = Options();
  options.cpus = 3;
  options.disks = {"/vm/data.raw"};
  options.ephemeral = true;
  options.detach = true;
  const MachineConfig config = Config(Plan(options, {.monitor = "/run/x/qmp",
                                                     .console_socket = "/run/x/console",
                                                     .pid_file = "/run/x/pid",
                                                     .seed = "/run/x/seed.iso",
                                                     .uefi_variables = ""}));
  EXPECT_EQ(config.name, "web");
  EXPECT_EQ(config.smp.cpus, 3U);
  EXPECT_EQ(config.ram_bytes, uint64_t{2} << 30);
  EXPECT_TRUE(config.daemonize);
  EXPECT_EQ(config.pidfile, "/run/x/pid");
  ASSERT_EQ(config.drives.size(), 3U);
  EXPECT_EQ(config.drives[0].options.values.at("file"), "/vm/a,b.qcow2");
  EXPECT_EQ(config.drives[0].options.values.at("format"), "qcow2");
  EXPECT_EQ(config.drives[0].options.values.at("snapshot"), "on");
  EXPECT_EQ(config.drives[1].options.values.at("snapshot"), "on");
  EXPECT_FALSE(config.drives[2].options.values.contains("snapshot"));
}

TEST(RunPlan, NetworksAreUserTapOrNone) {
  RunOptions options = Options();
  options.ssh_port = 2222;
  options.forwards = {"8080:80"};
  EXPECT_THAT(Plan(options),
              Contains("user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80"));
  options.ssh_port.reset();
  options.forwards.clear();
  options.net = "tap:vm0";
  EXPECT_THAT(Plan(options), Contains("tap,id=net0,ifname=vm0,script=no,downscript=no"));
  options.net = "none";
  EXPECT_THAT(Plan(options), Not(Contains("-netdev")));
  options.net = "tap:";
  EXPECT_THAT(Refused(options), HasSubstr("--net tap:: it is user, tap:NAME or none"));
  options.net = "tap:vm0";
  options.forwards = {"1:2"};
  EXPECT_THAT(Refused(options), HasSubstr("belong to --net user"));
  options.net = "user";
  for (const char* wrong : {"80", ":80", "80:", "0:80", "80:65536", "a:b", "80:80x"}) {
    options.forwards = {wrong};
    EXPECT_THAT(Refused(options), HasSubstr("say HOST:GUEST")) << wrong;
  }
}

TEST(RunPlan, OneThingStartsTheGuest) {
  RunOptions options = Options();
  options.uefi = true;
  EXPECT_THAT(
      Plan(options,
           {.monitor = "", .console_socket = "", .pid_file = "", .seed = "", .uefi_variables = "/vm/x.fd"}),
      Contains("if=pflash,unit=1,format=raw,file=/vm/x.fd"));
  options.kernel = "/k";
  EXPECT_THAT(Refused(options), HasSubstr("give one of them"));
  options.uefi = false;
  EXPECT_THAT(Plan(options), Contains("console=ttyS0")) << "where else would its console be";
  options.kernel.clear();
  options.initrd = "/i";
  EXPECT_THAT(Refused(options), HasSubstr("give it with --kernel"));
}

TEST(ShellLine, IsReadBackAsItWas) {
  EXPECT_EQ(ShellLine({"nandu", "-m", "2G", "file=a b", "it's", ""}),
            R"(nandu -m 2G 'file=a b' 'it'\''s' '')");
}

TEST(NameFromImage, IsTheFilesName) {
  EXPECT_EQ(NameFromImage("/vm/debian-12.qcow2"), "debian-12");
  EXPECT_EQ(NameFromImage("disk"), "disk");
  EXPECT_EQ(NameFromImage("a b/it's.tar.raw"), "it-s.tar");
  EXPECT_EQ(NameFromImage("/vm/.raw"), "vm.raw");
  EXPECT_EQ(NameFromImage("-x.raw"), "vm-x");
}

}  // namespace
}  // namespace nandu
