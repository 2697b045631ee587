#include "cli/option_table.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr Handling kWorks = Handling::kWorks;
constexpr Handling kPlanned = Handling::kPlanned;
constexpr Handling kRefused = Handling::kRefused;

constexpr std::string_view kNoDisplay = "it waits for VGA and a screen; use -display none or -nographic";
constexpr std::string_view kNoSpice = "it waits for SPICE";
constexpr std::string_view kNoAudio = "it waits for sound";
constexpr std::string_view kNoFirmwareTables =
    "it waits for firmware and fw_cfg; boot with -kernel, or -bios for a bare ROM";
constexpr std::string_view kNoMigration = "it waits for migration and snapshots";
constexpr std::string_view kTcgOnly = "it belongs to QEMU's translator; nandu runs guests on KVM only";
constexpr std::string_view kNoXen = "nandu runs on KVM, not on Xen";
constexpr std::string_view kNoUsb = "it waits for USB";
constexpr std::string_view kNoIde = "it waits for AHCI, CD-ROMs and floppies; use -drive if=virtio,file=FILE";

// In the order of QEMU's own help.
constexpr OptionSpec kOptions[] = {
    {"h", false, kWorks, "", "display this help and exit"},
    {"help", false, kWorks, "", "display this help and exit"},
    {"version", false, kWorks, "", "display version information and exit"},
    {"machine", true, kWorks, "[type=]name[,prop=value...]",
     "machine type and its properties ('-machine help')"},
    {"M", true, kWorks, "", "the same as -machine"},
    {"cpu", true, kWorks, "model[,+feature|-feature|prop=value...]", "CPU model and features ('-cpu help')"},
    {"accel", true, kWorks, "kvm[,prop=value...]", "the accelerator: kvm"},
    {"smp", true, kWorks, "[cpus=]n[,sockets=s][,dies=d][,cores=c][,threads=t][,maxcpus=m]",
     "number and topology of vCPUs"},
    {"numa", true, kWorks, "node[,nodeid=n][,cpus=a[-b]]...[,memdev=i] | dist,src=a,dst=b,val=d",
     "a NUMA node, or the distance between two"},
    {"add-fd", true, kPlanned, "", "it waits for QMP's descriptor sets"},
    {"set", true, kWorks, "group.id.property=value",
     "give a property to an option before it: -set drive.disk0.file=/vm/a.img"},
    {"global", true, kWorks, "driver.property=value | driver=d,property=p,value=v",
     "a default for every device of a driver, built in or added"},
    {"boot", true, kWorks,
     "[order=cdn][,once=d][,menu=on|off][,splash-time=ms][,reboot-timeout=ms][,strict=on|off]",
     "what firmware boots from, and how long it waits; bootindex= of a device goes before order="},
    {"m", true, kWorks, "[size=]n[K|M|G|T]",
     "guest memory, in MiB unless a suffix says otherwise (default 128)"},
    {"mem-path", true, kWorks, "path", "guest memory is a file, or a file in a directory (hugetlbfs)"},
    {"mem-prealloc", false, kWorks, "", "take all of guest memory from the host now"},
    {"k", true, kPlanned, "", kNoDisplay},
    {"audio-help", false, kPlanned, "", kNoAudio},
    {"audio", true, kPlanned, "", kNoAudio},
    {"audiodev", true, kWorks, "none,id=i", "an audio backend: none"},
    {"device", true, kWorks, "driver[,prop=value...]",
     "add a device ('-device help', '-device DRIVER,help')"},
    {"name", true, kWorks, "[guest=]name[,process=name][,debug-threads=on|off]", "the guest's name"},
    {"uuid", true, kWorks, "uuid", "the guest's UUID, seen in its DMI tables"},
    {"fda", true, kPlanned, "", kNoIde},
    {"fdb", true, kPlanned, "", kNoIde},
    {"hda", true, kPlanned, "", kNoIde},
    {"hdb", true, kPlanned, "", kNoIde},
    {"hdc", true, kPlanned, "", kNoIde},
    {"hdd", true, kPlanned, "", kNoIde},
    {"cdrom", true, kPlanned, "", kNoIde},
    {"blockdev", true, kWorks, "[driver=]driver[,node-name=n][,prop=value...]",
     "add a block node: file, host_device, raw"},
    {"drive", true, kWorks, "file=f,if=virtio|none[,format=raw][,id=i][,cache=c][,aio=a]...",
     "add a disk image, and its disk with if=virtio"},
    {"mtdblock", true, kRefused, "", "a PC has no on-board flash of this kind"},
    {"sd", true, kRefused, "", "a q35 board has no SD slot"},
    {"snapshot", false, kPlanned, "", "it waits for qcow2 and its overlays"},
    {"fsdev", true, kPlanned, "", "it waits for shared folders (virtio-fs and 9p)"},
    {"virtfs", true, kPlanned, "", "it waits for shared folders (virtio-fs and 9p)"},
    {"iscsi", true, kRefused, "",
     "there is no iSCSI initiator inside nandu; log in with open-iscsi and pass the block device"},
    {"usb", false, kPlanned, "", kNoUsb},
    {"usbdevice", true, kPlanned, "", kNoUsb},
    {"display", true, kWorks, "none", "the display: none"},
    {"nographic", false, kWorks, "",
     "no display; serial port and monitor share the terminal (Ctrl-a x ends, Ctrl-a h helps)"},
    {"spice", true, kPlanned, "", kNoSpice},
    {"portrait", false, kRefused, "", "it turned one PDA's screen"},
    {"rotate", true, kRefused, "", "it turned one PDA's screen"},
    {"vga", true, kWorks, "none", "the graphics card: none"},
    {"full-screen", false, kPlanned, "", kNoDisplay},
    {"vnc", true, kPlanned, "", "it waits for the VNC server; use -display none"},
    {"win2k-hack", false, kRefused, "", "it slowed IDE down for one release of Windows 2000"},
    {"no-fd-bootchk", false, kPlanned, "", kNoFirmwareTables},
    {"no-acpi", false, kPlanned, "", "it waits for boards without ACPI"},
    {"no-hpet", false, kWorks, "", "no HPET (the same as -machine hpet=off)"},
    {"acpitable", true, kPlanned, "", "it waits for user-supplied ACPI tables"},
    {"smbios", true, kWorks, "type=0|1|2|3|4|8|11|17|41[,field=value...] | file=binary",
     "what the guest's DMI tables say: BIOS, system, board, chassis, processors, ports, OEM strings, memory, "
     "on-board devices"},
    {"netdev", true, kWorks, "tap,id=i[,ifname=n][,fd=h|fds=x:y][,queues=n]...",
     "add a network backend: tap"},
    {"nic", true, kWorks, "none|tap[,model=virtio-net-pci][,mac=m]...",
     "a network backend and its card in one"},
    {"net", true, kWorks, "none", "none: no default network card"},
    {"chardev", true, kWorks, "backend,id=i[,prop=value...]",
     "add a character backend: stdio, file, pty, socket, pipe, null"},
    {"tpmdev", true, kPlanned, "", "it waits for TPMs (swtpm)"},
    {"bios", true, kWorks, "file", "map a ROM at the top of memory and start at the reset vector"},
    {"pflash", true, kPlanned, "", kNoFirmwareTables},
    {"kernel", true, kWorks, "file", "boot a Linux bzImage, a multiboot kernel or a PVH ELF kernel directly"},
    {"append", true, kWorks, "text", "the kernel's command line"},
    {"initrd", true, kWorks, "file | \"file arg...,file...\"",
     "the initial RAM disk, or the modules of a multiboot kernel with their arguments"},
    {"dtb", true, kRefused, "", "x86 guests take no device tree"},
    {"compat", true, kWorks,
     "[deprecated-input=accept|reject|crash][,deprecated-output=accept|hide][,unstable-...]",
     "a policy for deprecated and unstable interfaces: nandu has none"},
    {"fw_cfg", true, kWorks, "[name=]opt/name,string=text|file=file",
     "a file for firmware and the guest to read"},
    {"serial", true, kWorks, "dev",
     "the next serial port: stdio, mon:stdio, pty, file:F, unix:P,server=on, null, none ..."},
    {"parallel", true, kWorks, "none", "the parallel port: none"},
    {"monitor", true, kWorks, "dev", "the human monitor on a character device"},
    {"qmp", true, kWorks, "dev", "a QMP monitor on a character device"},
    {"qmp-pretty", true, kWorks, "dev", "the same, with indented replies"},
    {"mon", true, kWorks, "[chardev=]id[,mode=readline|control][,pretty=on|off]", "a monitor on a -chardev"},
    {"debugcon", true, kWorks, "dev", "firmware's debug port 0xe9 on a character device"},
    {"pidfile", true, kWorks, "file", "write the process id to a file, removed at exit"},
    {"singlestep", false, kRefused, "", kTcgOnly},
    {"preconfig", false, kPlanned, "", "it waits for QMP's x-exit-preconfig"},
    {"S", false, kWorks, "", "start paused; 'cont' runs the guest"},
    {"overcommit", true, kWorks, "[mem-lock=on|off][,cpu-pm=off]",
     "keep all memory of this process in RAM; C-states stay the host's"},
    {"gdb", true, kWorks, "dev", "serve gdb on a device: tcp::1234, unix:PATH, stdio, chardev:ID"},
    {"s", false, kWorks, "", "the same as -gdb tcp::1234"},
    {"d", true, kWorks, "item1,...", "what is logged besides: guest_errors, trace:PATTERN ('-d help')"},
    {"D", true, kWorks, "file", "write the log to a file instead of stderr"},
    {"dfilter", true, kRefused, "", kTcgOnly},
    {"seed", true, kRefused, "", "nandu takes its random numbers from the kernel alone"},
    {"L", true, kWorks, "directory",
     "where firmware and option ROMs are looked for first ('-L help': where else)"},
    {"enable-kvm", false, kWorks, "", "the same as -accel kvm, which is the default"},
    {"xen-domid", true, kRefused, "", kNoXen},
    {"xen-attach", false, kRefused, "", kNoXen},
    {"xen-domid-restrict", false, kRefused, "", kNoXen},
    {"no-reboot", false, kWorks, "", "exit instead of rebooting"},
    {"no-shutdown", false, kWorks, "", "stop instead of exiting when the guest powers off"},
    {"action", true, kWorks,
     "reboot=reset|shutdown,shutdown=poweroff|pause,panic=pause|shutdown|exit-failure|none,watchdog=ACTION",
     "what a reboot, a power-off, a panic or a watchdog does"},
    {"loadvm", true, kPlanned, "", kNoMigration},
    {"daemonize", false, kWorks, "", "go to the background once the VM is ready"},
    {"option-rom", true, kPlanned, "", kNoFirmwareTables},
    {"rtc", true, kWorks, "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none|slew]",
     "what the clock starts at and follows, and whether missed periodic interrupts are made up for"},
    {"icount", true, kRefused, "", kTcgOnly},
    {"watchdog-action", true, kWorks, "reset|shutdown|inject-nmi|poweroff|pause|debug|none",
     "what a watchdog that expired does"},
    {"echr", true, kWorks, "n",
     "the escape key of a shared terminal, as a character's number (0x01: Ctrl-a)"},
    {"incoming", true, kPlanned, "", kNoMigration},
    {"only-migratable", false, kPlanned, "", kNoMigration},
    {"nodefaults", false, kWorks, "", "no default devices"},
    {"chroot", true, kPlanned, "", "it waits for the sandbox"},
    {"runas", true, kPlanned, "", "it waits for the sandbox"},
    {"sandbox", true, kPlanned, "", "it waits for the sandbox"},
    {"readconfig", true, kWorks, "file",
     "the options of a file, in sections: [device \"net0\"] driver = \"...\""},
    {"no-user-config", false, kWorks, "", "read no configuration file (nandu reads none)"},
    {"trace", true, kWorks, "[enable=]pattern[,events=file][,file=file]", "trace events ('-trace help')"},
    {"plugin", true, kRefused, "", kTcgOnly},
    {"async-teardown", false, kRefused, "",
     "a VM's memory goes with its process, and nothing stays behind to take it apart"},
    {"msg", true, kWorks, "[timestamp=on|off][,guest-name=on|off]",
     "what messages on stderr begin with: the time, the guest's name"},
    {"dump-vmstate", true, kRefused, "", "nandu's state format is its own (docs/state.md)"},
    {"enable-sync-profile", false, kRefused, "", "it profiles QEMU's own locks"},
    {"object", true, kWorks, "iothread,id=i | memory-backend-ram|memfd|file,id=i,size=s[,prop=value...]",
     "add an object"},
    // Options that QEMU does not list in its help.
    {"qtest", true, kRefused, "", "it tests QEMU itself"},
    {"qtest-log", true, kRefused, "", "it tests QEMU itself"},
    {"g", true, kRefused, "", "it sets the screen's size on SPARC and PowerPC boards"},
    {"prom-env", true, kRefused, "", "it sets variables of OpenFirmware, which PCs do not have"},
};

}  // namespace

std::span<const OptionSpec> OptionTable() { return kOptions; }

const OptionSpec* FindOption(std::string_view name) {
  const auto* found = std::ranges::find(kOptions, name, &OptionSpec::name);
  return found == std::end(kOptions) ? nullptr : found;
}

}  // namespace nandu
