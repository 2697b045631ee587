#include "cli/help.h"

#include <algorithm>

#include "base/format.h"
#include "cli/option_table.h"
#include "machine/version.h"

namespace nandu {
namespace {

constexpr std::string_view kIntroduction =
    "nandu runs virtual machines on Linux KVM, with QEMU's command line.\n"
    "\n"
    "usage: nandu [options]               run a VM; -x and --x are the same\n"
    "       nandu COMMAND [arguments]     'nandu help' lists the commands\n"
    "\n"
    "Examples:\n"
    "  A cloud image, with a user who comes in by ssh (nandu run --help):\n"
    "    nandu run debian.qcow2 --user me --ssh-key ~/.ssh/id_ed25519.pub --ssh 2222\n"
    "  A Linux kernel on this terminal (Ctrl-a x ends it):\n"
    "    nandu -m 512 -kernel vmlinuz -initrd initrd.img -append console=ttyS0 -nographic\n"
    "  The same with a disk, a network card on tap0 and four vCPUs:\n"
    "    nandu -m 1G -smp 4 -cpu host -kernel vmlinuz -initrd initrd.img \\\n"
    "      -append 'root=/dev/vda ro console=ttyS0' -drive file=disk.raw,format=raw,if=virtio \\\n"
    "      -netdev tap,id=n0,ifname=tap0,script=no -device virtio-net-pci,netdev=n0 -nographic\n"
    "  In the background, with a QMP socket to steer it:\n"
    "    nandu -daemonize -pidfile vm.pid -qmp unix:vm.qmp,server=on,wait=off -display none ...\n"
    "\n";

struct Group {
  std::string_view title;
  std::string_view first;  // the option of the table it begins with
};
constexpr Group kGroups[] = {
    {"Help", "h"},
    {"The machine", "machine"},
    {"Disks", "blockdev"},
    {"Display", "display"},
    {"Network", "netdev"},
    {"Character devices", "chardev"},
    {"What boots", "bios"},
    {"Ports and monitors", "serial"},
    {"The process and its life", "pidfile"},
};

}  // namespace

std::string HelpText() {
  constexpr size_t kColumn = 26;
  std::string text(kIntroduction);
  for (const OptionSpec& option : OptionTable()) {
    if (const auto* group = std::ranges::find(kGroups, option.name, &Group::first);
        group != std::end(kGroups)) {
      text += Format("{}{}:\n", option.name == "h" ? "" : "\n", group->title);
    }
    if (option.handling != Handling::kWorks) {
      continue;
    }
    const std::string left = Format("  -{} {}", option.name, option.argument);
    if (left.size() < kColumn) {
      text += Format("{:<26}{}\n", left, option.text);
    } else {
      text += Format("{}\n{:<26}{}\n", left, "", option.text);
    }
  }
  text += "\nOptions of QEMU that are not listed are refused with the reason. Manual: man nandu\n";
  return text;
}

std::string VersionText() {
  return Format("nandu version {} (QEMU {}.{} compatible)\n", kNanduVersion, EmulatedQemu::kMajor,
                EmulatedQemu::kMinor);
}

std::string MachineHelpText() {
  return "Supported machines are:\n"
         "q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)\n"
         "pc-q35-7.2           Standard PC (Q35 + ICH9, 2009) (default)\n";
}

std::string AccelHelpText() { return "Accelerators supported in nandu binary:\nkvm\n"; }

std::string ChardevHelpText() {
  return "Available chardev backend types: \n  file\n  null\n  pipe\n  pty\n  socket\n  stdio\n";
}

}  // namespace nandu
