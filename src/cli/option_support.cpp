// The lists of what nandu does with QEMU's options: which test shows one that works, why another is refused.
#include <algorithm>

#include "base/format.h"
#include "cli/option_table.h"

namespace nandu {
namespace {

struct Shown {
  std::string_view option;
  std::string_view test;  // "file.host.case" or "file.lab.case" below tests/system, "unit_ROOM.Suite.Case"
};

constexpr Shown kShown[] = {
    {"h", "unit_cli.CommandLine.HelpIsAnsweredWhateverElseIsSaid"},
    {"help", "unit_cli.CommandLine.HelpIsAnsweredWhateverElseIsSaid"},
    {"version", "command_line.host.help_answers"},
    {"machine", "unit_cli.CommandLine.LibvirtsMemoryBackendIsTheRam"},
    {"M", "startup.kvm.debug_exit_status_is_qemus"},
    {"cpu", "cpu.kvm.every_model_is_qemus"},
    {"accel", "unit_cli.CommandLine.ErrorsNameTheOption"},
    {"smp", "cpu.kvm.topologies_are_qemus"},
    {"numa", "memory.lab.nodes_are_qemus"},
    {"set", "unit_cli.Expansion.SetGivesAPropertyToAnOptionBeforeIt"},
    {"readconfig", "unit_cli.Expansion.FilesStandForTheirOptions"},
    {"echr", "unit_cli.CommandLine.EscapeKeyIsANumber"},
    {"global", "unit_machine.Globals.FillInWhatADeviceDoesNotSay"},
    {"m", "ram.kvm.a_quarter_of_a_terabyte_is_sparse"},
    {"mem-path", "memory.lab.huge_pages_hold_a_guest"},
    {"mem-prealloc", "ram.kvm.preallocation_takes_the_memory_now"},
    {"audiodev", "unit_cli.OptionForms.BothFormsOfAudiodev"},
    {"device", "board.lab.every_device_works"},
    {"name", "startup.kvm.threads_are_named_as_asked"},
    {"watchdog-action", "chips.kvm.the_watchdog_bites"},
    {"uuid", "board.lab.the_board_is_qemus"},
    {"blockdev", "disk.lab.both_engines_keep_every_byte"},
    {"drive", "disk.lab.both_engines_keep_every_byte"},
    {"cdrom", "unit_cli.Drives.AnEmptyCdromDriveIsThereUnlessSaidOtherwise"},
    {"snapshot", "unit_cli.Drives.SnapshotIsEveryDrives"},
    {"hda", "unit_cli.Drives.ShortFormsNameTheirPorts"},
    {"hdb", "unit_cli.Drives.ShortFormsNameTheirPorts"},
    {"hdc", "unit_cli.Drives.ShortFormsNameTheirPorts"},
    {"hdd", "unit_cli.Drives.ShortFormsNameTheirPorts"},
    {"display", "unit_cli.OptionForms.BothFormsOfDisplay"},
    {"nographic", "unit_cli.CommandLine.NographicSharesTheTerminal"},
    {"vga", "unit_cli.CommandLine.AGraphicsCardIsThereUnlessSomethingSaysOtherwise"},
    {"no-hpet", "board.lab.without_hpet_the_clock_has_its_interrupt"},
    {"smbios", "unit_boot.Smbios.FieldsAreQemus"},
    {"add-fd", "startup.kvm.descriptors_handed_in_are_files"},
    {"no-acpi", "firmware.lab.a_board_without_acpi"},
    {"acpitable", "firmware.lab.a_table_of_the_users_is_qemus"},
    {"netdev", "usernet.lab.a_user_network_needs_no_root"},
    {"nic", "unit_cli.CommandLine.NicsGetTheirAddressesBeforeDevicesAndDrivesAfter"},
    {"net", "unit_cli.CommandLine.NoNetworkIsSaidInTwoWays"},
    {"chardev", "board.lab.every_device_works"},
    {"boot", "firmware.kvm.fw_cfg_is_qemus"},
    {"L", "firmware.kvm.without_seabios_there_is_a_sentence"},
    {"no-fd-bootchk", "unit_cli.CommandLine.OptionRomsMayBoot"},
    {"pflash", "unit_cli.CommandLine.FlashIsADriveOrANode"},
    {"fw_cfg", "firmware.kvm.fw_cfg_is_qemus"},
    {"option-rom", "unit_cli.CommandLine.OptionRomsMayBoot"},
    {"bios", "startup.kvm.debug_exit_status_is_qemus"},
    {"kernel", "boot.lab.generic_bzimage_with_1_vcpu_boots_to_login"},
    {"append", "boot.lab.generic_bzimage_with_1_vcpu_boots_to_login"},
    {"initrd", "boot.lab.generic_bzimage_with_1_vcpu_boots_to_login"},
    {"compat", "unit_cli.OptionForms.BothFormsOfCompat"},
    {"serial", "boot.lab.generic_bzimage_with_1_vcpu_boots_to_login"},
    {"parallel", "unit_cli.CommandLine.NoParallelPortIsTheOnlyOne"},
    {"monitor", "unit_cli.CommandLine.NographicWithAMonitorElsewhereLeavesTheTerminalToTheSerialPort"},
    {"qmp", "startup.kvm.qmp_steers_the_vm"},
    {"qmp-pretty", "unit_cli.CommandLine.MonitorsAreOfThreeKinds"},
    {"mon", "unit_cli.CommandLine.MonitorsAreOfThreeKinds"},
    {"debugcon", "startup.kvm.debugcon_writes_a_file"},
    {"pidfile", "startup.kvm.sigterm_ends_it_and_leaves_nothing"},
    {"S", "startup.kvm.qmp_steers_the_vm"},
    {"overcommit", "unit_cli.CommandLine.MemoryCanBeLocked"},
    {"gdb", "gdb.lab.gdb_looks_at_and_steps_a_stock_kernel"},
    {"s", "unit_cli.CommandLine.ShortGdbIsPort1234"},
    {"d", "unit_cli.CommandLine.LogItemsAreQemus"},
    {"trace", "unit_base.Trace.OnlyWhatWasAskedForIsWritten"},
    {"D", "unit_base.Log.FileGetsLinesWithATimeAndALevel"},
    {"enable-kvm", "command_line.host.help_answers"},
    {"no-reboot", "reboot.lab.no_reboot_ends_where_a_guest_would_start_again"},
    {"no-shutdown", "reboot.lab.no_shutdown_keeps_a_machine_that_is_off"},
    {"action", "unit_cli.CommandLine.ActionsAreQemus"},
    {"daemonize", "startup.kvm.daemonize_returns_when_the_vm_is_ready"},
    {"rtc", "unit_cli.CommandLine.ClockIsQemus"},
    {"nodefaults", "unit_cli.CommandLine.NodefaultsHasNoSerialPortAndNothingToSay"},
    {"no-user-config", "unit_cli.Argv.RecordingsAreUnderstood"},
    {"msg", "command_line.host.messages_begin_as_asked_for"},
    {"object", "memory.lab.nodes_are_qemus"},
};

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '|' ? std::string("\\|") : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string_view TestOf(const OptionSpec& option) {
  const auto* found = std::ranges::find(kShown, option.name, &Shown::option);
  return option.handling != Handling::kWorks || found == std::end(kShown) ? std::string_view() : found->test;
}

std::string OptionSupportText() {
  std::string text;
  for (const OptionSpec& option : OptionTable()) {
    text += Format("{:<8} -{:<20} {}\n", HandlingName(option.handling), option.name, option.text);
  }
  return text;
}

std::string OptionSupportMarkdown() {
  std::string text =
      "# Command line\n\n"
      "Every option of QEMU 7.2's `qemu-system-x86_64 -help`, in its order: it *works* and a test shows it, "
      "it is "
      "*planned* and says what it waits for, or it is *refused* and says why. nandu answers an option that "
      "it does "
      "not serve with the sentence given here; it ignores none. Made by `nandu options --markdown` "
      "(`scripts/update-docs`); a test compares it with QEMU's own list.\n\n"
      "| option | | what it does, or why it is not served | shown by |\n|---|---|---|---|\n";
  for (const OptionSpec& option : OptionTable()) {
    const std::string words =
        Format("-{}{}{}", option.name, option.argument.empty() ? "" : " ", option.argument);
    const std::string_view test = TestOf(option);
    text += Format("| `{}` | {} | {} | {}{}{} |\n", Escaped(words), HandlingName(option.handling),
                   Escaped(option.text), test.empty() ? "" : "`", test, test.empty() ? "" : "`");
  }
  return text;
}

}  // namespace nandu
