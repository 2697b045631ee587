// -chardev, -serial, -monitor, -qmp, -mon, -debugcon, -gdb, -parallel, and what -nographic makes of them.

#include "cli/builder.h"
#include "cli/help.h"
#include "cli/property_list.h"

namespace nandu {
namespace {
constexpr size_t kSerialPorts = 4;
}

Result<> Builder::Chardev(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(ChardevHelpText());
  }
  ChardevConfig chardev;
  chardev.options.source = Format("-chardev {}", text);
  chardev.options.values = TRY(ParseOptionBag(text, "backend", Nesting::kFlat));
  const boost::json::value* id = chardev.options.values.if_contains("id");
  if (id == nullptr || !id->is_string()) {
    return Fail(Errc::kInvalidArgument, "a chardev needs an id: -chardev BACKEND,id=NAME[,prop=value...]");
  }
  chardev.id = id->as_string();
  config_.chardevs.push_back(std::move(chardev));
  return {};
}

std::string Builder::ShortForm(std::string_view text, const std::string& id) {
  if (text == "none") {
    return {};
  }
  constexpr std::string_view kByName = "chardev:";
  if (text.starts_with(kByName)) {
    return std::string(text.substr(kByName.size()));
  }
  constexpr std::string_view kShared = "mon:";
  ChardevConfig chardev;
  chardev.id = id;
  chardev.mux = text.starts_with(kShared);
  chardev.short_form = chardev.mux ? text.substr(kShared.size()) : text;
  chardev.options.source = text;
  config_.chardevs.push_back(chardev);
  if (chardev.mux) {
    monitor_given_ = true;
    config_.monitors.push_back({id, false, false});
  }
  return id;
}

Result<> Builder::Serial(std::string_view text) {
  if (config_.serials.size() == kSerialPorts) {
    return Fail(Errc::kInvalidArgument, "a PC has {} serial ports at most", kSerialPorts);
  }
  config_.serials.push_back(ShortForm(text, Format("serial{}", config_.serials.size())));
  return {};
}

Result<> Builder::AddMonitor(std::string_view text, MonitorConfig monitor) {
  monitor_given_ = monitor_given_ || !monitor.qmp;
  monitor.chardev = ShortForm(text, Format("compat_monitor{}", config_.monitors.size()));
  if (!monitor.chardev.empty()) {
    config_.monitors.push_back(std::move(monitor));
  }
  return {};
}

Result<> Builder::Mon(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "chardev"));
  MonitorConfig monitor;
  monitor.chardev = list.Take("chardev");
  const std::string mode = list.Take("mode", "readline");
  monitor.pretty = TRY(list.TakeSwitch("pretty", false));
  list.Take("id");  // names the -mon itself, which nothing refers to
  TRY(list.Finish());
  if (monitor.chardev.empty()) {
    return Fail(Errc::kInvalidArgument, "a monitor needs chardev=ID");
  }
  if (mode != "readline" && mode != "control") {
    return Fail(Errc::kInvalidArgument, "mode={}: known are readline and control", mode);
  }
  monitor.qmp = mode == "control";
  monitor_given_ = monitor_given_ || !monitor.qmp;
  config_.monitors.push_back(std::move(monitor));
  return {};
}

Result<> Builder::Debugcon(std::string_view text) {
  config_.debugcon = ShortForm(text, "debugcon");
  return {};
}

Result<> Builder::Gdb(std::string_view text) {
  // Network addresses are listened at, as QEMU does here.
  const bool listens = text.starts_with("tcp:") || text.starts_with("unix:");
  config_.gdb = ShortForm(listens && text.find("server") == std::string_view::npos
                              ? Format("{},server=on,wait=off", text)
                              : std::string(text),
                          "gdb");
  return {};
}

Result<> Builder::Parallel(std::string_view text) {
  if (text != "none") {
    return Fail(Errc::kUnsupported, "there is no parallel port; use -parallel none");
  }
  return {};
}

Result<> Builder::FinishChardevs() {
  if (nographic_ && config_.daemonize) {
    return Fail(Errc::kInvalidArgument,
                "-nographic talks to the terminal and -daemonize leaves it; use -display none");
  }
  if (nodefaults_ || !config_.serials.empty()) {
    // -serial none in first place still counts as given: no default port.
    if (nographic_ && !nodefaults_ && !monitor_given_) {
      TRY(Monitor("stdio"));
    }
    return {};
  }
  if (nographic_) {
    return Serial(monitor_given_ ? "stdio" : "mon:stdio");
  }
  return Serial("null");  // QEMU's default port ends in a virtual console that nobody sees without a display
}

}  // namespace nandu
