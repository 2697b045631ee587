#include "cli/config_builder.h"

#include <utility>

#include "base/check.h"
#include "cli/builder.h"
#include "cli/expansion.h"
#include "cli/help.h"
#include "cli/numbers.h"

namespace nandu {

Result<> Builder::Take(const Token& token) {
  struct Handler {
    std::string_view option;
    Result<> (Builder::*function)(std::string_view value);
  };
  static constexpr Handler kHandlers[] = {
      {"machine", &Builder::Machine},
      {"M", &Builder::Machine},
      {"accel", &Builder::Accel},
      {"cpu", &Builder::Cpu},
      {"smp", &Builder::Smp},
      {"m", &Builder::Memory},
      {"name", &Builder::Name},
      {"uuid", &Builder::Uuid},
      {"object", &Builder::Object},
      {"numa", &Builder::Numa},
      {"action", &Builder::Action},
      {"overcommit", &Builder::Overcommit},
      {"add-fd", &Builder::AddFd},
      {"rtc", &Builder::Rtc},
      {"device", &Builder::Device},
      {"drive", &Builder::Drive},
      {"blockdev", &Builder::Blockdev},
      {"netdev", &Builder::Netdev},
      {"nic", &Builder::Nic},
      {"net", &Builder::Net},
      {"chardev", &Builder::Chardev},
      {"serial", &Builder::Serial},
      {"monitor", &Builder::Monitor},
      {"qmp", &Builder::Qmp},
      {"qmp-pretty", &Builder::QmpPretty},
      {"mon", &Builder::Mon},
      {"debugcon", &Builder::Debugcon},
      {"parallel", &Builder::Parallel},
      {"gdb", &Builder::Gdb},
      {"display", &Builder::Display},
      {"vga", &Builder::Vga},
      {"audiodev", &Builder::Audiodev},
      {"compat", &Builder::Compat},
      {"msg", &Builder::Msg},
      {"smbios", &Builder::Smbios},
      {"acpitable", &Builder::AcpiTable},
      {"global", &Builder::Global},
      {"d", &Builder::LogItems},
      {"trace", &Builder::TraceOption},
      {"cdrom", &Builder::Cdrom},
      {"hda", &Builder::Hda},
      {"hdb", &Builder::Hdb},
      {"hdc", &Builder::Hdc},
      {"hdd", &Builder::Hdd},
      {"watchdog-action", &Builder::WatchdogAct},
      {"boot", &Builder::Boot},
      {"fw_cfg", &Builder::FwCfg},
      {"option-rom", &Builder::OptionRom},
      {"pflash", &Builder::FlashFile},
  };
  const std::string_view option = token.option->name;
  for (const Handler& handler : kHandlers) {
    if (handler.option == option) {
      return (this->*handler.function)(token.value);
    }
  }
  return TakePlain(option, token.value);
}

// Options that are one value or one fact.
Result<> Builder::TakePlain(std::string_view option, std::string_view value) {
  const std::pair<std::string_view, std::string*> texts[] = {
      {"kernel", &config_.kernel}, {"initrd", &config_.initrd},   {"append", &config_.append},
      {"bios", &config_.bios},     {"pidfile", &config_.pidfile}, {"D", &config_.log_file},
      {"mem-path", &mem_path_},
  };
  for (const auto& [name, text] : texts) {
    if (name == option) {
      *text = value;
      return {};
    }
  }
  const std::pair<std::string_view, bool*> switches[] = {{"S", &config_.start_paused},
                                                         {"daemonize", &config_.daemonize},
                                                         {"nodefaults", &nodefaults_},
                                                         {"snapshot", &snapshot_},
                                                         {"nographic", &nographic_},
                                                         {"mem-prealloc", &mem_prealloc_}};
  for (const auto& [name, flag] : switches) {
    if (name == option) {
      *flag = true;
      return {};
    }
  }
  if (option == "L") {
    return FirmwareDirectory(value);
  }
  if (option == "s") {
    return Gdb("tcp::1234");
  }
  if (option == "echr") {
    const Result<uint64_t> number = SizeFrom(value, 1);
    if (!number || *number == 0 || *number > UINT8_MAX) {
      return Fail(Errc::kInvalidArgument, "'{}' is no character's number, such as 0x14 for Ctrl-t", value);
    }
    config_.escape_key = static_cast<char>(*number);
    return {};
  }
  if (option == "no-fd-bootchk") {
    config_.boot.check_floppy = false;
  } else if (option == "no-hpet") {
    config_.hpet = false;
  } else if (option == "no-acpi") {
    config_.acpi = false;
  } else if (option == "no-reboot") {
    config_.reboot = RebootAction::kShutdown;
  } else if (option == "no-shutdown") {
    config_.shutdown = ShutdownAction::kPause;
  } else if (option == "h" || option == "help") {
    out_.answer = HelpText();
  } else if (option == "version") {
    out_.answer = VersionText();
  } else {
    // What is left states what nandu does anyhow: it runs on KVM and reads no configuration file.
    NANDU_CHECK(option == "enable-kvm" || option == "no-user-config",
                "every option the table calls working has a function");
  }
  return {};
}

std::optional<std::string_view> Builder::AsksForProperties(std::string_view text) {
  return text.ends_with(",help") || text.ends_with(",?") ? std::optional(text.substr(0, text.find(',')))
                                                         : std::nullopt;
}

Result<> Builder::Answer(std::string text) {
  out_.answer = std::move(text);
  return {};
}

Result<> Builder::Finish() {
  TRY(FinishMemory());
  TRY(FinishChardevs());
  FinishDevices();
  if (config_.pit_discards_lost_ticks && config_.irqchip == IrqchipKind::kSplit) {
    // As in QEMU, whose kvm-pit is not there either.
    out_.notes.push_back(Format("warning: -global kvm-pit.lost_tick_policy={} is not used: {} has no kvm-pit",
                                "discard", "kernel-irqchip=split"));
  }
  if (config_.kernel.empty()) {
    for (const auto& [value, option] :
         {std::pair(&config_.initrd, "-initrd"), std::pair(&config_.append, "-append")}) {
      if (!value->empty()) {
        return Fail(Errc::kInvalidArgument, "{} belongs to a kernel: give it with -kernel", option);
      }
    }
  }
  TRY(FinishFirmware());
  for (DriveConfig& drive : config_.drives) {
    if (snapshot_ && !drive.empty && !drive.options.values.contains("snapshot")) {
      drive.options.values["snapshot"] = "on";
    }
  }
  return {};
}

Result<CommandLine> ParseCommandLine(std::span<const std::string_view> arguments) {
  CommandLine out;
  Builder builder(out);
  // What asks for help is answered even where the rest of the line would be refused, as QEMU does.
  for (const std::string_view word : arguments) {
    if (word == "-h" || word == "-help" || word == "--help") {
      out.answer = HelpText();
      return out;
    }
    if (word == "-version" || word == "--version") {
      out.answer = VersionText();
      return out;
    }
  }
  const std::vector<Token> tokens = TRY(Tokenize(arguments));
  const ExpandedLine line = TRY(ExpandedLine::Of(tokens));
  for (const Token& token : line.tokens()) {
    const OptionSpec& option = *token.option;
    TRY(CheckServed(Format("option '-{}'", option.name), option.handling, option.text));
    TRY(Prefix(builder.Take(token), token.Text()));
    if (out.answer) {
      return out;
    }
  }
  TRY(builder.Finish());
  return out;
}

}  // namespace nandu
