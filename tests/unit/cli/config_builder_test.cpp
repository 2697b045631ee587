#include "cli/config_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

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
  EXPECT_THAT(line->notes, ElementsAre(HasSubstr("network card (e1000e), floppy")));
  ASSERT_EQ(line->config.devices.size(), 2U);
  EXPECT_EQ(line->config.devices[0].driver, "VGA");
  EXPECT_EQ(line->config.devices[1].driver, "ide-cd");
}

TEST(CommandLine, NodefaultsHasNoSerialPortAndNothingToSay) {
  const auto line = Parse({"-nodefaults"});
  ASSERT_TRUE(line.has_value());
  EXPECT_TRUE(line->config.serials.empty());
  EXPECT_TRUE(line->config.devices.empty());
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

// qemu-system-x86_64 7.2 takes both; the disk's own word counts.
TEST(CommandLine, ErrorPoliciesOfADriveAreItsDisks) {
  const auto line =
      Parse({"-drive", "if=none,id=d,file=a.raw,format=raw,werror=stop,rerror=ignore", "-device",
             "virtio-blk-pci,drive=d,rerror=report", "-device", "virtio-blk-pci,drive=e", "-vga", "none"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  const boost::json::object& disk = line->config.devices.at(0).options.values;
  EXPECT_EQ(disk.at("werror"), "stop");
  EXPECT_EQ(disk.at("rerror"), "report");
  EXPECT_FALSE(line->config.devices.at(1).options.values.contains("werror"));
  EXPECT_FALSE(line->config.drives.at(0).options.values.contains("werror"));
}

TEST(CommandLine, SmpCountsMustAgree) {
  EXPECT_THAT(ErrorOf({"-smp", "8,sockets=3,cores=2,threads=1"}),
              HasSubstr("sockets (3) * dies (1) * cores (2) * threads (1) is not the number of CPUs (8)"));
}

TEST(CommandLine, CpusAreThoseQemusMachineTypeTakes) {
  EXPECT_EQ(Parse({"-smp", "288"})->config.smp.cpus, 288U);
  EXPECT_THAT(ErrorOf({"-smp", "289"}),
              HasSubstr("289 CPUs: the machine type 'pc-q35-7.2' takes 288 at most"));
}

TEST(CommandLine, InterruptControllersAreTheKernelsOrOurs) {
  EXPECT_EQ(Parse({})->config.irqchip, IrqchipKind::kKernel);
  EXPECT_EQ(Parse({"-machine", "q35,kernel-irqchip=split"})->config.irqchip, IrqchipKind::kSplit);
  EXPECT_EQ(Parse({"-M", "q35,kernel_irqchip=on"})->config.irqchip, IrqchipKind::kKernel);
  EXPECT_EQ(Parse({"-accel", "kvm,kernel-irqchip=split"})->config.irqchip, IrqchipKind::kSplit);
  EXPECT_THAT(ErrorOf({"-accel", "kvm,kernel-irqchip=off"}), HasSubstr("use kernel-irqchip=split"));
  EXPECT_THAT(ErrorOf({"-M", "kernel-irqchip=maybe"}), HasSubstr("known are on, split and off"));
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
             "virtio-rng-pci,id=plain", "-nic", "tap,model=virtio", "-nodefaults", "-vga", "std"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  std::vector<std::string> order;
  for (const DeviceConfig& device : line->config.devices) {
    order.push_back(device.driver + "/" + device.id);
  }
  EXPECT_THAT(order,
              ElementsAre("VGA/", "virtio-net-pci/", "virtio-rng-pci/plain", "virtio-blk-pci/", "virtio-rng-pci/json"));
}

TEST(CommandLine, VirtioDriveMakesItsDisk) {
  const auto line = Parse({"-nodefaults", "-drive", "file=a.raw,format=raw,if=virtio,serial=S1,cache=none"});
  ASSERT_TRUE(line.has_value());
  ASSERT_EQ(line->config.drives.size(), 1U);
  EXPECT_EQ(line->config.drives[0].id, "virtio0");
  EXPECT_EQ(JsonText(line->config.drives[0].options.values),
            R"({"file": "a.raw", "format": "raw", "cache": "none"})");
  ASSERT_EQ(line->config.devices.size(), 1U);
  EXPECT_EQ(JsonText(line->config.devices[0].options.values), R"({"drive": "virtio0", "serial": "S1"})");
}

TEST(CommandLine, DriveInterfacesOfOtherBoardsAreRefusedWithTheWayOut) {
  EXPECT_THAT(ErrorOf({"-drive", "file=a.raw,if=scsi"}), HasSubstr("use if=ide, if=virtio"));
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
  EXPECT_THAT(Parse({"-device", "nonsense", "-help", "-bogus"})->answer, Optional(HasSubstr("usage: nandu")));
}

TEST(CommandLine, DeviceHelpNamesItsDriver) {
  const auto line = Parse({"-device", "virtio-blk-pci,help"});
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(line->answer, Optional(HasSubstr("virtio-blk-pci options:")));
}

TEST(CommandLine, AGraphicsCardIsThereUnlessSomethingSaysOtherwise) {
  const auto drivers = [](const std::vector<std::string_view>& words) {
    std::vector<std::string> list;
    const Result<CommandLine> line = Parse(words);
    for (const DeviceConfig& device : line.value().config.devices) {
      list.push_back(device.driver);
    }
    std::erase(list, "ide-cd");  // there by default as well
    return list;
  };
  EXPECT_THAT(drivers({"-device", "pvpanic"}), ElementsAre("VGA", "pvpanic"));
  EXPECT_THAT(drivers({"-nographic"}), ElementsAre("VGA"));
  EXPECT_THAT(drivers({"-vga", "none"}), ElementsAre());
  EXPECT_THAT(drivers({"-nodefaults", "-vga", "std"}), ElementsAre("VGA"));
  EXPECT_THAT(drivers({"-device", "pvpanic", "-device", "VGA,xres=800"}), ElementsAre("pvpanic", "VGA"));
  EXPECT_THAT(drivers({"-device", R"({"driver":"VGA"})"}), ElementsAre("VGA"));
  EXPECT_THAT(drivers({"-device", "secondary-vga"}), ElementsAre("VGA", "secondary-vga"));
  EXPECT_THAT(ErrorOf({"-vga", "qxl"}),
              HasSubstr("'qxl' waits for displays beyond VGA; use -vga std or none"));
  EXPECT_THAT(ErrorOf({"-vga", "voodoo"}), HasSubstr("there is no graphics card 'voodoo'"));
}

TEST(CommandLine, NoParallelPortIsTheOnlyOne) {
  EXPECT_EQ(ErrorOf({"-parallel", "none"}), "accepted");
  EXPECT_THAT(ErrorOf({"-parallel", "stdio"}), HasSubstr("use -parallel none"));
}

TEST(CommandLine, NoNetworkIsSaidInTwoWays) {
  for (const char* option : {"-net", "-nic"}) {
    const auto line = Parse({option, "none", "-vga", "none"});
    ASSERT_TRUE(line.has_value());
    ASSERT_EQ(line->config.devices.size(), 1U);
    EXPECT_EQ(line->config.devices[0].driver, "ide-cd");
    EXPECT_THAT(line->notes, ElementsAre(testing::Not(HasSubstr("network card"))));
  }
}

TEST(CommandLine, MonitorsAreOfThreeKinds) {
  const auto line = Parse({"-nodefaults", "-qmp-pretty", "null", "-chardev", "null,id=c", "-mon",
                           "chardev=c,mode=control", "-chardev", "null,id=h", "-mon", "h"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  const std::vector<MonitorConfig>& monitors = line->config.monitors;
  ASSERT_EQ(monitors.size(), 3U);
  EXPECT_TRUE(monitors[0].qmp && monitors[0].pretty);
  EXPECT_TRUE(monitors[1].qmp && !monitors[1].pretty);
  EXPECT_EQ(monitors[1].chardev, "c");
  EXPECT_FALSE(monitors[2].qmp);
}

TEST(CommandLine, MemoryCanBeLocked) {
  EXPECT_TRUE(Parse({"-overcommit", "mem-lock=on"})->config.lock_memory);
  EXPECT_THAT(ErrorOf({"-overcommit", "cpu-pm=on"}), HasSubstr("the host keeps its power management"));
}

TEST(CommandLine, ShortGdbIsPort1234) {
  const MachineConfig config = Parse({"-nodefaults", "-s"})->config;
  EXPECT_EQ(config.gdb, "gdb");
  ASSERT_EQ(config.chardevs.size(), 1U);
  EXPECT_EQ(config.chardevs[0].short_form, "tcp::1234,server=on,wait=off");
}

TEST(CommandLine, LogItemsAreQemus) {
  const auto line = Parse({"-nodefaults", "-d", "guest_errors,trace:qmp_*", "-trace",
                           "run_state,file=t,events=e", "-trace", "enable=no_such_event"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_TRUE(line->config.log_every_guest_error);
  EXPECT_THAT(line->config.trace.patterns, ElementsAre("qmp_*", "run_state", "no_such_event"));
  EXPECT_THAT(line->config.trace.event_files, ElementsAre("e"));
  EXPECT_EQ(line->config.trace.file, "t");
  EXPECT_THAT(line->notes, ElementsAre(HasSubstr("there is no trace event 'no_such_event'")));
  EXPECT_THAT(ErrorOf({"-d", "in_asm"}), HasSubstr("tells of QEMU's translator"));
  EXPECT_THAT(ErrorOf({"-d", "nonsense"}), HasSubstr("there is no log item 'nonsense'"));
  EXPECT_THAT(Parse({"-d", "help"})->answer, Optional(HasSubstr("guest_errors")));
  EXPECT_THAT(Parse({"-d", "trace:help"})->answer, Optional(HasSubstr("lifecycle_phase\n")));
  EXPECT_THAT(Parse({"-trace", "help"})->answer, Optional(HasSubstr("kvm_memory_slot\n")));
}

TEST(CommandLine, GlobalsHaveTwoForms) {
  const auto line = Parse({"-nodefaults", "-global", "virtio-blk-pci.serial=a,b=c", "-global",
                           "driver=pci-device,property=multifunction,value=on"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  ASSERT_EQ(line->config.globals.size(), 2U);
  EXPECT_EQ(line->config.globals[0].value, "a,b=c");
  EXPECT_EQ(line->config.globals[1].property, "multifunction");
  EXPECT_THAT(ErrorOf({"-global", "xx"}), HasSubstr("write DRIVER.PROPERTY=VALUE"));
}

TEST(CommandLine, EscapeKeyIsANumber) {
  EXPECT_EQ(Parse({})->config.escape_key, 1);
  EXPECT_EQ(Parse({"-echr", "0x14"})->config.escape_key, 20);
  EXPECT_EQ(Parse({"-echr", "20"})->config.escape_key, 20);
  EXPECT_THAT(ErrorOf({"-echr", "a"}), HasSubstr("is no character's number"));
  EXPECT_THAT(ErrorOf({"-echr", "256"}), HasSubstr("is no character's number"));
}

TEST(CommandLine, GlobalsOfTheBoardAreObeyedOrRefused) {
  EXPECT_FALSE(Parse({"-global", "ICH9-LPC.disable_s4=1"})->config.acpi_s4);
  EXPECT_TRUE(Parse({"-global", "ICH9-LPC.disable_s4=0"})->config.acpi_s4);
  EXPECT_TRUE(Parse({"-global", "mc146818rtc.lost_tick_policy=slew"})->config.rtc.slew);
  EXPECT_EQ(ErrorOf({"-global", "ICH9-LPC.disable_s3=1"}), "accepted");
  EXPECT_FALSE(Parse({"-global", "kvm-pit.lost_tick_policy=delay"})->config.pit_discards_lost_ticks);
  EXPECT_TRUE(Parse({"-global", "kvm-pit.lost_tick_policy=discard"})->config.pit_discards_lost_ticks);
  EXPECT_THAT(ErrorOf({"-global", "kvm-pit.lost_tick_policy=merge"}),
              HasSubstr("known are delay and discard"));
  EXPECT_THAT(ErrorOf({"-global", "ICH9-LPC.disable_s5=1"}),
              HasSubstr("property 'disable_s5' of the board's"));
  EXPECT_THAT(ErrorOf({"-global", "driver=cfi.pflash01,property=secure,value=on"}),
              HasSubstr("it waits for firmware"));
  EXPECT_THAT(ErrorOf({"-global", "EPYC-x86_64-cpu.svm=on"}), HasSubstr("-cpu MODEL,svm=on"));
}

TEST(CommandLine, BootSaysWhatFirmwareDoes) {
  const auto line = Parse({"-boot", "nc", "-boot", "once=d,menu=on,strict=on,splash-time=300,reboot-timeout=-1"});
  ASSERT_TRUE(line) << line.error().message;
  const BootConfig& boot = line->config.boot;
  EXPECT_EQ(boot.order, "nc");
  EXPECT_EQ(boot.once, "d");
  EXPECT_TRUE(boot.menu && boot.strict);
  EXPECT_EQ(boot.splash_time_ms, 300);
  EXPECT_FALSE(boot.reboot_timeout_ms.has_value());
  EXPECT_THAT(ErrorOf({"-boot", "order=x"}), HasSubstr("'x' is no boot device"));
  EXPECT_THAT(ErrorOf({"-boot", "cc"}), HasSubstr("named twice"));
  EXPECT_THAT(ErrorOf({"-boot", "acdn"}), HasSubstr("too many"));
  EXPECT_THAT(ErrorOf({"-boot", "splash-time=70000"}), HasSubstr("0 to 65535"));
  EXPECT_THAT(ErrorOf({"-boot", "splash=x.bmp"}), HasSubstr("leave it out"));
}

TEST(CommandLine, OptionRomsMayBoot) {
  const auto line = Parse({"-option-rom", "a.rom", "-option-rom", "romfile=b.rom,bootindex=3", "-no-fd-bootchk"});
  ASSERT_TRUE(line) << line.error().message;
  ASSERT_EQ(line->config.option_roms.size(), 2U);
  EXPECT_LT(line->config.option_roms[0].bootindex, 0);
  EXPECT_EQ(line->config.option_roms[1].bootindex, 3);
  EXPECT_FALSE(line->config.boot.check_floppy);
  EXPECT_THAT(ErrorOf({"-option-rom", "a.rom,bootindex=x"}), HasSubstr("no number"));
  EXPECT_THAT(ErrorOf({"-option-rom", "bootindex=1"}), HasSubstr("romfile=FILE"));
}

TEST(CommandLine, FilesForFirmwareAreTextOrAFile) {
  const auto line = Parse({"-fw_cfg", "name=opt/a,string=x,,y", "-fw_cfg", "opt/b,file=p"});
  ASSERT_TRUE(line) << line.error().message;
  const std::vector<FwCfgFileConfig>& files = line->config.fw_cfg_files;
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].text, "x,y");
  EXPECT_FALSE(files[0].in_file);
  EXPECT_EQ(files[1].name, "opt/b");
  EXPECT_TRUE(files[1].in_file);
  EXPECT_THAT(ErrorOf({"-fw_cfg", "string=x"}), HasSubstr("needs a name"));
  EXPECT_THAT(ErrorOf({"-fw_cfg", "name=opt/a"}), HasSubstr("either string=TEXT or file=PATH"));
  EXPECT_THAT(ErrorOf({"-fw_cfg", "name=opt/a,string=x,file=y"}), HasSubstr("either"));
  EXPECT_THAT(ErrorOf({"-fw_cfg", "name=0123456789012345678901234567890123456789012345678901234567,string=x"}),
              HasSubstr("55 at most"));
}

TEST(CommandLine, FlashIsADriveOrANode) {
  const auto line = Parse({"-nodefaults", "-drive", "if=pflash,unit=1,format=raw,file=vars.fd", "-drive",
                           "if=pflash,unit=0,format=raw,readonly=on,file=code.fd"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_THAT(line->config.pflash, ElementsAre("pflash0", "pflash1"));
  ASSERT_EQ(line->config.drives.size(), 2U);
  EXPECT_EQ(line->config.drives[0].id, "pflash1");
  EXPECT_EQ(line->config.drives[0].options.values.at("file"), "vars.fd");
  EXPECT_THAT(Parse({"-pflash", "a.fd", "-pflash", "b.fd"})->config.pflash, ElementsAre("pflash0", "pflash1"));
  EXPECT_THAT(Parse({"-machine", "q35,pflash0=code"})->config.pflash, ElementsAre("code", ""));
  EXPECT_THAT(ErrorOf({"-machine", "q35,pflash1=vars"}), HasSubstr("pflash1 without pflash0"));
  EXPECT_THAT(ErrorOf({"-pflash", "a.fd", "-bios", "b"}), HasSubstr("give one of them"));
  EXPECT_THAT(ErrorOf({"-drive", "if=pflash,unit=2,format=raw,file=x"}), HasSubstr("two flash chips"));
  EXPECT_THAT(ErrorOf({"-pflash", "a", "-pflash", "b", "-pflash", "c"}), HasSubstr("there is a flash chip 1"));
}

TEST(CommandLine, GlobalOfNoDriverIsAWarningAsInQemu) {
  const auto line = Parse({"-nodefaults", "-global", "foo.bar=1"});
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(line->notes, ElementsAre("warning: -global foo.bar=1: there is no driver 'foo'"));
}

TEST(CommandLine, SmbiosFieldsAddUp) {
  const auto line =
      Parse({"-kernel", "k", "-smbios", "type=1,manufacturer=oVirt,uuid=cccccccc-0000-4000-8000-000000000003",
             "-smbios", "type=1,product=RHEL", "-smbios", "type=4,sock_pfx=S,processor-id=0x10", "-smbios",
             "type=11,value=a,path=f,value=b", "-smbios", "file=board.bin", "-machine",
             "q35,smbios-entry-point-type=64"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  const SmbiosConfig& smbios = line->config.smbios;
  EXPECT_EQ(smbios.fields.system.manufacturer, "oVirt");
  EXPECT_EQ(smbios.fields.system.product, "RHEL");
  EXPECT_EQ(line->config.uuid, "cccccccc-0000-4000-8000-000000000003");
  EXPECT_EQ(smbios.fields.processor.processor_id, 0x10U);
  EXPECT_EQ(smbios.fields.processor.sock_pfx, "S");
  EXPECT_FALSE(smbios.fields.bios.has_value());
  ASSERT_EQ(smbios.oem_strings.size(), 3U);
  EXPECT_TRUE(smbios.oem_strings[1].in_file);
  EXPECT_EQ(smbios.oem_strings[2].text, "b");
  EXPECT_THAT(smbios.structure_files, ElementsAre("board.bin"));
  EXPECT_TRUE(smbios.entry_point_64);
}

TEST(CommandLine, SmbiosPortsAndOnboardDevicesAreOneEach) {
  const auto line =
      Parse({"-kernel", "k", "-smbios", "type=8,internal_reference=i,port_type=9", "-smbios", "type=8",
             "-smbios", "type=41,kind=ethernet,pcidev=n", "-smbios", "type=41,instance=2"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  const SmbiosOptions& fields = line->config.smbios.fields;
  ASSERT_EQ(fields.ports.size(), 2U);
  EXPECT_EQ(fields.ports[0].port_type, 9);
  EXPECT_FALSE(fields.ports[1].internal_reference.has_value());
  ASSERT_EQ(fields.onboard.size(), 2U);
  EXPECT_EQ(fields.onboard[0].kind, SmbiosOnboardKind::kEthernet);
  EXPECT_EQ(fields.onboard[1].instance, 2);
  EXPECT_THAT(ErrorOf({"-smbios", "type=41,kind=ETHERNET"}), HasSubstr("ethernet"));
  EXPECT_THAT(ErrorOf({"-smbios", "type=8,connector_typ=1"}), HasSubstr("connector_type"));
}

TEST(CommandLine, SmbiosThatMakesNoSenseIsRefused) {
  EXPECT_THAT(ErrorOf({"-smbios", "vendor=x"}), HasSubstr("needs type= or file="));
  EXPECT_THAT(ErrorOf({"-smbios", "type=9"}), HasSubstr("known are 0, 1, 2, 3, 4, 8, 11, 17 and 41"));
  EXPECT_THAT(ErrorOf({"-smbios", "type=1,vendro=x"}), HasSubstr("unknown property 'vendro'"));
  EXPECT_THAT(ErrorOf({"-smbios", "type=0,release=x"}), HasSubstr("release=x"));
  EXPECT_THAT(ErrorOf({"-smbios", "type=4,max-speed=70000"}), HasSubstr("max-speed"));
  EXPECT_THAT(ErrorOf({"-smbios", "file=a,type=1"}), HasSubstr("no other property goes with it"));
  EXPECT_THAT(ErrorOf({"-smbios", "type=11,value="}), HasSubstr("is empty"));
  EXPECT_EQ(ErrorOf({"-smbios", "type=1"}), "accepted");
}

TEST(CommandLine, ClockIsQemus) {
  const RtcConfig recorded = Parse({"-rtc", "base=2026-11-20T12:32:20,driftfix=slew"})->config.rtc;
  EXPECT_EQ(recorded.base, RtcConfig::Base::kDate);
  EXPECT_EQ(recorded.date_s, 1'795'177'940);
  EXPECT_EQ(recorded.clock, RtcConfig::Clock::kHost);
  EXPECT_TRUE(recorded.slew);
  EXPECT_EQ(Parse({"-rtc", "base=2006-06-17"})->config.rtc.date_s, 1'150'502'400);
  const RtcConfig later = Parse({"-rtc", "base=localtime,clock=rt", "-rtc", "clock=vm"})->config.rtc;
  EXPECT_EQ(later.base, RtcConfig::Base::kLocaltime);
  EXPECT_EQ(later.clock, RtcConfig::Clock::kVm);
  for (const char* wrong : {"base=2006-02-30", "base=2006-6-17T1", "base=now", "clock=tsc", "driftfix=x"}) {
    EXPECT_THAT(ErrorOf({"-rtc", wrong}), HasSubstr("known are")) << wrong;
  }
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
  EXPECT_EQ(Parse({"-watchdog-action", "inject-nmi"})->config.watchdog, WatchdogAction::kInjectNmi);
}

TEST(CommandLine, GlobalChangesTheWatchdogsStrap) {
  EXPECT_TRUE(Parse({})->config.no_reboot_strap);
  EXPECT_FALSE(Parse({"-global", "ICH9-LPC.noreboot=off"})->config.no_reboot_strap);
  EXPECT_FALSE(Parse({"-global", "driver=ICH9-LPC,property=noreboot,value=off"})->config.no_reboot_strap);
  EXPECT_THAT(ErrorOf({"-global", "ICH9-LPC.noreboot=maybe"}), HasSubstr("noreboot"));
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
