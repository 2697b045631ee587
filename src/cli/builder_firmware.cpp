// What firmware is told: which devices to boot (-boot), and files of the user's (-fw_cfg).
#include <charconv>

#include "base/log.h"
#include "cli/builder.h"
#include "cli/property_list.h"

namespace nandu {

namespace {

constexpr uint16_t kMostMilliseconds = 0xffff;

// Three at most, as a PC's CMOS has room for; each once.
Result<> CheckOrder(std::string_view key, std::string_view order) {
  constexpr std::string_view kKnown = "abcdn";
  constexpr size_t kMost = 3;
  for (size_t i = 0; i < order.size(); i++) {
    if (kKnown.find(order[i]) == std::string_view::npos) {
      return Fail(Errc::kInvalidArgument,
                  "{}={}: '{}' is no boot device; they are a and b (floppy), c (disk), d (CD-ROM) and n "
                  "(network)",
                  key, order, order[i]);
    }
    if (order.find(order[i], i + 1) != std::string_view::npos) {
      return Fail(Errc::kInvalidArgument, "{}={}: '{}' is named twice", key, order, order[i]);
    }
  }
  if (order.size() > kMost) {
    return Fail(Errc::kInvalidArgument, "{}={}: too many; a PC remembers {} boot devices", key, order, kMost);
  }
  return {};
}

Result<std::optional<uint16_t>> Milliseconds(std::string_view key, std::string_view text) {
  if (text.empty() || text == "-1") {  // as QEMU: no time
    return std::optional<uint16_t>();
  }
  uint16_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Errc::kInvalidArgument, "{}={}: say milliseconds, 0 to {}", key, text, kMostMilliseconds);
  }
  return std::optional<uint16_t>(ms);
}

}  // namespace

Result<> Builder::Boot(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "order"));
  BootConfig& boot = config_.boot;
  if (const std::string order = list.Take("order"); !order.empty()) {
    TRY(CheckOrder("order", order));
    boot.order = order;
  }
  if (const std::string once = list.Take("once"); !once.empty()) {
    TRY(CheckOrder("once", once));
    boot.once = once;
  }
  boot.menu = TRY(list.TakeSwitch("menu", boot.menu));
  boot.strict = TRY(list.TakeSwitch("strict", boot.strict));
  if (const std::string splash = list.Take("splash"); !splash.empty()) {
    return Fail(Errc::kUnsupported, "splash={}: firmware has no picture to show yet; leave it out", splash);
  }
  if (const std::string ms = list.Take("splash-time"); !ms.empty()) {
    boot.splash_time_ms = TRY(Milliseconds("splash-time", ms));
  }
  if (const std::string ms = list.Take("reboot-timeout"); !ms.empty()) {
    boot.reboot_timeout_ms = TRY(Milliseconds("reboot-timeout", ms));
  }
  return list.Finish();
}

Result<> Builder::OptionRom(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "romfile"));
  OptionRomConfig rom;
  rom.file = list.Take("romfile");
  const std::string index = list.Take("bootindex");
  TRY(list.Finish());
  if (rom.file.empty()) {
    return Fail(Errc::kInvalidArgument, "name the ROM's file: romfile=FILE");
  }
  if (!index.empty()) {
    const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), rom.bootindex);
    if (error != std::errc() || end != index.data() + index.size()) {
      return Fail(Errc::kInvalidArgument, "bootindex={} is no number", index);
    }
  }
  config_.option_roms.push_back(std::move(rom));
  return {};
}

Result<> Builder::FwCfg(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "name"));
  FwCfgFileConfig file;
  file.name = list.Take("name");
  const std::string path = list.Take("file");
  const std::string content = list.Take("string");
  if (const std::string object = list.Take("gen_id"); !object.empty()) {
    return Fail(Errc::kUnsupported,
                "gen_id={}: there is no object that makes files; use file= or string=", object);
  }
  TRY(list.Finish());
  if (file.name.empty()) {
    return Fail(Errc::kInvalidArgument, "the file needs a name: name=opt/org.example/my-data");
  }
  constexpr size_t kMostNameBytes = 55;
  if (file.name.size() > kMostNameBytes) {
    return Fail(Errc::kInvalidArgument, "name={} has {} bytes; a name has {} at most", file.name,
                file.name.size(), kMostNameBytes);
  }
  if (path.empty() == content.empty()) {
    return Fail(Errc::kInvalidArgument, "say what is in {}: either string=TEXT or file=PATH", file.name);
  }
  if (!file.name.starts_with("opt/")) {
    Log(LogLevel::kWarning,
        "-fw_cfg name={}: names outside opt/ are firmware's own; call it opt/... unless firmware reads this "
        "one",
        file.name);
  }
  file.in_file = content.empty();
  file.text = file.in_file ? path : content;
  config_.fw_cfg_files.push_back(std::move(file));
  return {};
}

Result<> Builder::AcpiTable(std::string_view text) {
  AcpiTableConfig table;
  boost::json::object bag = TRY(ParseOptionBag(text, {}, Nesting::kFlat));
  const std::string body = TRY(TakeString(&bag, "data"));
  const std::string whole = TRY(TakeString(&bag, "file"));
  if (body.empty() == whole.empty()) {
    return Fail(Errc::kInvalidArgument,
                "say where the table is: file=PATH with its header, or data=PATH without one");
  }
  table.whole = body.empty();
  std::string_view paths = table.whole ? whole : body;
  while (!paths.empty()) {
    const size_t end = std::min(paths.find(':'), paths.size());
    table.files.emplace_back(paths.substr(0, end));
    paths.remove_prefix(std::min(end + 1, paths.size()));
  }
  table.fields = TRY(FromJson<AcpiTableFields>(bag, {.field_word = "property", .lenient = true}));
  config_.acpi_tables.push_back(std::move(table));
  return {};
}

// The first one is unit 0, the next one unit 1.
Result<> Builder::FlashDrive(const std::string& source, boost::json::object bag) {
  const auto take = [&bag](std::string_view key) {
    const boost::json::value* const value = bag.if_contains(key);
    std::string taken =
        value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
    bag.erase(key);
    return taken;
  };
  size_t unit = config_.pflash[0].empty() ? 0 : 1;
  for (const std::string_view key : {"unit", "index"}) {
    if (const std::string number = take(key); !number.empty()) {
      if (number != "0" && number != "1") {
        return Fail(Errc::kInvalidArgument, "{}={}: there are two flash chips, 0 and 1", key, number);
      }
      unit = number == "1" ? 1 : 0;
    }
  }
  static_cast<void>(take("bus"));
  DriveConfig drive;
  drive.id = take("id");
  if (drive.id.empty()) {
    drive.id = Format("pflash{}", unit);
  }
  if (!config_.pflash.at(unit).empty()) {
    return Fail(Errc::kExists, "there is a flash chip {} already", unit);
  }
  config_.pflash.at(unit) = drive.id;
  drive.options = {std::move(bag), source};
  config_.drives.push_back(std::move(drive));
  return {};
}

Result<> Builder::FlashFile(std::string_view text) {
  boost::json::object bag;
  bag["file"] = text;
  bag["format"] = "raw";
  return FlashDrive(Format("-pflash {}", text), std::move(bag));
}

Result<> Builder::FinishFirmware() {
  if (config_.pflash[0].empty() && !config_.pflash[1].empty()) {
    return Fail(Errc::kInvalidArgument,
                "pflash1 without pflash0: the processor starts in pflash0; give it the firmware's code");
  }
  if (!config_.pflash[0].empty() && !config_.bios.empty()) {
    return Fail(Errc::kInvalidArgument, "-bios and pflash0 both hold the firmware; give one of them");
  }
  config_.nographic = nographic_;
  return {};
}

}  // namespace nandu
