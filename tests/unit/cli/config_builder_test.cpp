#include "cli/config_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<CommandLine> Parse(std::vector<std::string_view> words) { return ParseCommandLine(words); }
std::string ErrorOf(const std::vector<std::string_view>& words) {
  const auto line = ParseCommandLine(words);
  return line ? "accepted" : line.error().message;
}

TEST(CommandLine, DefaultsAreQemus) {
  const auto line = Parse({});
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->config.ram_bytes, uint64_t{128} << 20);
  EXPECT_EQ(line->config.smp.cpus, 1U);
  EXPECT_EQ(line->config.cpu, "qemu64");
  EXPECT_THAT(line->config.serials, ElementsAre("serial0"));
  EXPECT_THAT(line->notes, ElementsAre(HasSubstr("network card (e1000e), VGA")));
}

TEST(CommandLine, NodefaultsHasNoSerialPortAndNothingToSay) {
  const auto line = Parse({"-nodefaults"});
  ASSERT_TRUE(line.has_value());
  EXPECT_TRUE(line->config.serials.empty());
  EXPECT_TRUE(line->notes.empty());
}

TEST(CommandLine, MemoryIsInMebibytesUnlessASuffixSaysOtherwise) {
  EXPECT_EQ(Parse({"-m", "256"})->config.ram_bytes, uint64_t{256} << 20);
  EXPECT_EQ(Parse({"-m", "size=2G"})->config.ram_bytes, uint64_t{2} << 30);
}

TEST(CommandLine, SmpPrefersCores) {
  const SmpConfig smp = Parse({"-smp", "8,sockets=2"})->config.smp;
  EXPECT_EQ(smp.cpus, 8U);
  EXPECT_EQ(smp.cores, 4U);
  EXPECT_EQ(smp.threads, 1U);
}

TEST(CommandLine, SmpCountsMustAgree) {
  EXPECT_THAT(ErrorOf({"-smp", "8,sockets=3,cores=2,threads=1"}),
              HasSubstr("sockets (3) * dies (1) * cores (2) * threads (1) is not the number of CPUs (8)"));
}

TEST(CommandLine, NographicSharesTheTerminal) {
  const auto line = Parse({"-nographic"});
  ASSERT_TRUE(line.has_value());
  ASSERT_EQ(line->config.chardevs.size(), 1U);
  EXPECT_TRUE(line->config.chardevs[0].mux);
  EXPECT_EQ(line->config.chardevs[0].short_form, "stdio");
  ASSERT_EQ(line->config.monitors.size(), 1U);
  EXPECT_EQ(line->config.monitors[0].chardev, "serial0");
  EXPECT_FALSE(line->config.monitors[0].qmp);
}

TEST(CommandLine, NographicWithAMonitorElsewhereLeavesTheTerminalToTheSerialPort) {
  const auto line = Parse({"-nographic", "-monitor", "none"});
  ASSERT_TRUE(line.has_value());
  ASSERT_EQ(line->config.chardevs.size(), 1U);
  EXPECT_FALSE(line->config.chardevs[0].mux);
  EXPECT_TRUE(line->config.monitors.empty());
}

TEST(CommandLine, NicsGetTheirAddressesBeforeDevicesAndDrivesAfter) {
  const auto line =
      Parse({"-device", R"({"driver":"virtio-rng-pci","id":"json"})", "-drive", "if=virtio,file=a", "-device",
             "virtio-rng-pci,id=plain", "-nic", "tap,model=virtio"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  std::vector<std::string> order;
  for (const DeviceConfig& device : line->config.devices) {
    order.push_back(device.driver + "/" + device.id);
  }
  EXPECT_THAT(order, ElementsAre("virtio-net-pci/", "virtio-rng-pci/plain", "virtio-blk-pci/",
                                 "virtio-rng-pci/json"));
}

TEST(CommandLine, VirtioDriveMakesItsDisk) {
  const auto line = Parse({"-drive", "file=a.raw,format=raw,if=virtio,serial=S1,cache=none"});
  ASSERT_TRUE(line.has_value());
  ASSERT_EQ(line->config.drives.size(), 1U);
  EXPECT_EQ(line->config.drives[0].id, "virtio0");
  EXPECT_EQ(JsonText(line->config.drives[0].options.values),
            R"({"file": "a.raw", "format": "raw", "cache": "none"})");
  ASSERT_EQ(line->config.devices.size(), 1U);
  EXPECT_EQ(JsonText(line->config.devices[0].options.values), R"({"drive": "virtio0", "serial": "S1"})");
}

TEST(CommandLine, DefaultDriveInterfaceIsRefusedWithTheWayOut) {
  EXPECT_THAT(ErrorOf({"-drive", "file=a.raw"}), HasSubstr("use if=virtio"));
}

TEST(CommandLine, LibvirtsMemoryBackendIsTheRam) {
  const auto line =
      Parse({"-machine", "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram", "-m", "256",
             "-object", R"({"qom-type":"memory-backend-ram","id":"pc.ram","size":268435456})"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->config.memory_backend, "pc.ram");
  EXPECT_EQ(JsonText(line->config.memory_backends.at(0).values),
            R"({"qom-type": "memory-backend-ram", "id": "pc.ram", "size": 268435456})");
  EXPECT_FALSE(line->config.dump_guest_core);
}

TEST(CommandLine, MemoryPathIsAFileBackend) {
  const auto line = Parse({"-m", "64", "-mem-path", "/dev/hugepages", "-mem-prealloc"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(JsonText(line->config.memory_backends.at(0).values),
            R"({"id": "pc.ram", "size": 67108864, "prealloc": true, )"
            R"("x-use-canonical-path-for-ramblock-id": false, "qom-type": "memory-backend-file", )"
            R"("mem-path": "/dev/hugepages"})");
  EXPECT_EQ(line->config.memory_backend, "pc.ram");
}

TEST(CommandLine, LibvirtsNodesHaveTheirCpusAndMemory) {
  const auto line = Parse({"-m", "512", "-smp", "4", "-object", "memory-backend-ram,id=a,size=512M", "-numa",
                           "node,nodeid=0,cpus=0-1,cpus=3,memdev=a", "-numa", "node,nodeid=1,cpus=2"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  const std::vector<NumaConfig::Node>& nodes = line->config.numa.nodes;
  ASSERT_EQ(nodes.size(), 2U);
  EXPECT_THAT(nodes[0].cpus, ElementsAre(0, 1, 3));
  EXPECT_EQ(nodes[0].memdev, "a");
  EXPECT_THAT(nodes[1].cpus, ElementsAre(2));
  EXPECT_TRUE(line->config.numa.distances.empty());
}

TEST(CommandLine, NodesWithoutCpusGetThemBySocket) {
  const auto line = Parse({"-smp", "4,sockets=2,cores=2", "-numa", "node", "-numa", "node"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_THAT(line->config.numa.nodes.at(0).cpus, ElementsAre(0, 1));
  EXPECT_THAT(line->config.numa.nodes.at(1).cpus, ElementsAre(2, 3));
}

TEST(CommandLine, DistanceCountsBothWaysUnlessSaidOtherwise) {
  const auto line = Parse({"-smp", "2", "-numa", "node,cpus=0", "-numa", "node,cpus=1", "-numa", "node",
                           "-numa", "dist,src=0,dst=1,val=20", "-numa", "dist,src=1,dst=0,val=21", "-numa",
                           "dist,src=0,dst=2,val=30", "-numa", "dist,src=2,dst=1,val=40"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_THAT(line->config.numa.distances,
              ElementsAre(ElementsAre(10, 20, 30), ElementsAre(21, 10, 40), ElementsAre(30, 40, 10)));
}

TEST(CommandLine, NodesThatMakeNoSenseAreRefused) {
  EXPECT_THAT(ErrorOf({"-numa", "node,nodeid=1"}), HasSubstr("number them from 0"));
  EXPECT_THAT(ErrorOf({"-numa", "node,nodeid=0", "-numa", "node,nodeid=0"}), HasSubstr("a node 0 already"));
  EXPECT_THAT(ErrorOf({"-smp", "2", "-numa", "node,cpus=0"}), HasSubstr("CPU 1 is in no node"));
  EXPECT_THAT(ErrorOf({"-numa", "node,cpus=0-1"}), HasSubstr("there is no CPU 1"));
  EXPECT_THAT(ErrorOf({"-numa", "node,cpus=0", "-numa", "node,cpus=0"}),
              HasSubstr("in node 0 and in node 1"));
  EXPECT_THAT(ErrorOf({"-numa", "node,mem=64M"}), HasSubstr("use memdev="));
  EXPECT_THAT(ErrorOf({"-numa", "node", "-numa", "node", "-numa", "dist,src=0,dst=0,val=11"}),
              HasSubstr("to itself is 10"));
  EXPECT_THAT(ErrorOf({"-numa", "node", "-numa", "node", "-numa", "dist,src=0,dst=2,val=20"}),
              HasSubstr("there is no node 2"));
  EXPECT_THAT(ErrorOf({"-numa", "hmat-lb"}), HasSubstr("'hmat-lb' is not served"));
}

TEST(CommandLine, UuidIsChecked) {
  EXPECT_EQ(Parse({"-uuid", "AAAAAAAA-0000-4000-8000-000000000001"})->config.uuid,
            "aaaaaaaa-0000-4000-8000-000000000001");
  EXPECT_THAT(ErrorOf({"-uuid", "nonsense"}), HasSubstr("is no UUID"));
}

TEST(CommandLine, ErrorsNameTheOption) {
  EXPECT_THAT(ErrorOf({"-machine", "q35,usb=on"}),
              HasSubstr("-machine q35,usb=on: usb=on is not served: there is no USB yet"));
  EXPECT_THAT(ErrorOf({"-accel", "tcg"}), HasSubstr("nandu runs guests on KVM only"));
  EXPECT_THAT(ErrorOf({"-machine", "pc"}), HasSubstr("machine type 'pc' is not served; known: q35"));
}

TEST(CommandLine, InitrdWithoutAKernelIsRefused) {
  EXPECT_EQ(ErrorOf({"-initrd", "x"}), "-initrd belongs to a kernel: give it with -kernel");
}

TEST(CommandLine, HelpIsAnsweredWhateverElseIsSaid) {
  EXPECT_EQ(Parse({"-device", "nonsense", "-help", "-bogus"})->action, CommandLine::Action::kHelp);
}

TEST(CommandLine, DeviceHelpNamesItsDriver) {
  const auto line = Parse({"-device", "virtio-blk-pci,help"});
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->action, CommandLine::Action::kDeviceOptionsHelp);
  EXPECT_EQ(line->subject, "virtio-blk-pci");
}

TEST(CommandLine, ActionsAreQemus) {
  const auto line = Parse({"-action", "reboot=shutdown,shutdown=pause"});
  EXPECT_EQ(line->config.reboot, RebootAction::kShutdown);
  EXPECT_EQ(line->config.shutdown, ShutdownAction::kPause);
}

TEST(CommandLine, PanicAndWatchdogHaveActions) {
  EXPECT_EQ(Parse({})->config.panic, PanicAction::kShutdown);
  EXPECT_EQ(Parse({"-action", "panic=exit-failure"})->config.panic, PanicAction::kExitFailure);
  EXPECT_EQ(Parse({"-action", "panic=none,watchdog=pause"})->config.watchdog, WatchdogAction::kPause);
  EXPECT_EQ(Parse({"-watchdog-action", "poweroff"})->config.watchdog, WatchdogAction::kPoweroff);
  EXPECT_EQ(Parse({})->config.watchdog, WatchdogAction::kReset);
  EXPECT_THAT(ErrorOf({"-action", "panic=run"}), HasSubstr("known are pause, shutdown, exit-failure, none"));
  EXPECT_THAT(ErrorOf({"-watchdog-action", "bark"}), HasSubstr("known are reset, shutdown"));
  EXPECT_THAT(ErrorOf({"-watchdog-action", "inject-nmi"}), HasSubstr("cannot inject NMIs yet"));
}

TEST(CommandLine, GlobalChangesTheWatchdogsStrapOnly) {
  EXPECT_TRUE(Parse({})->config.no_reboot_strap);
  EXPECT_FALSE(Parse({"-global", "ICH9-LPC.noreboot=off"})->config.no_reboot_strap);
  EXPECT_FALSE(Parse({"-global", "driver=ICH9-LPC,property=noreboot,value=off"})->config.no_reboot_strap);
  EXPECT_THAT(ErrorOf({"-global", "ICH9-LPC.noreboot=maybe"}), HasSubstr("noreboot"));
  EXPECT_THAT(ErrorOf({"-global", "virtio-net-pci.mac=x"}), HasSubstr("to its -device instead"));
}

TEST(CommandLine, ChipsCanBeLeftOut) {
  EXPECT_TRUE(Parse({})->config.sata && Parse({})->config.smbus && Parse({})->config.vmport);
  const auto line = Parse({"-M", "q35,sata=off,smbus=off,vmport=off"});
  ASSERT_TRUE(line.has_value());
  EXPECT_FALSE(line->config.sata || line->config.smbus || line->config.vmport);
  EXPECT_TRUE(Parse({"-M", "q35,vmport=auto"})->config.vmport);
}

}  // namespace
}  // namespace nandu
