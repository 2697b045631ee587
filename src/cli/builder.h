// The state of one command line being turned into a MachineConfig. Internal to the cli room; config_builder.h
// is its face.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/config_builder.h"
#include "cli/keyval.h"
#include "cli/tokenizer.h"

namespace nandu {

class Builder {
 public:
  explicit Builder(CommandLine& out) : out_(out), config_(out.config) {}

  Result<> Take(const Token& token);
  Result<> Finish();  // defaults, and what only the whole line can say

 private:
  // builder_machine.cpp
  Result<> Machine(std::string_view text);
  Result<> Accel(std::string_view text);
  Result<> Cpu(std::string_view text);
  Result<> Smp(std::string_view text);
  Result<> Memory(std::string_view text);
  Result<> Name(std::string_view text);
  Result<> Uuid(std::string_view text);
  Result<> Action(std::string_view text);
  Result<> Overcommit(std::string_view text);
  Result<> AddFd(std::string_view text);

  // builder_clock.cpp
  Result<> Rtc(std::string_view text);

  // builder_logging.cpp
  Result<> LogItems(std::string_view text);
  Result<> TraceOption(std::string_view text);
  void TracePattern(std::string_view pattern);

  // builder_global.cpp
  Result<> Global(std::string_view text);
  Result<> BoardGlobal(const GlobalConfig& global);

  // builder_smbios.cpp
  Result<> Smbios(std::string_view text);
  Result<> SmbiosOemStrings(std::span<const KeyValue> items);
  Result<> TakeSmbiosFields(unsigned type, const boost::json::object& bag);

  // builder_firmware.cpp
  Result<> AcpiTable(std::string_view text);
  Result<> Boot(std::string_view text);
  Result<> FwCfg(std::string_view text);
  Result<> OptionRom(std::string_view text);
  Result<> FlashDrive(const std::string& source, boost::json::object bag);  // -drive if=pflash
  Result<> FlashFile(std::string_view text);                                // -pflash
  Result<> FinishFirmware();
  // builder_board.cpp
  Result<> FirmwareDirectory(std::string_view text);
  Result<> WatchdogAct(std::string_view text);
  Result<> PanicAct(std::string_view text);

  // builder_memory.cpp
  Result<> Object(std::string_view text);
  Result<> Numa(std::string_view text);
  Result<> NumaNode(std::span<const KeyValue> items);
  Result<> NumaDistance(std::span<const KeyValue> items);
  Result<> FinishMemory();
  Result<> FinishNuma();
  Result<> FinishDistances();

  // config_builder.cpp
  Result<> TakePlain(std::string_view option, std::string_view value);

  // builder_ui.cpp
  Result<> Display(std::string_view text);
  Result<> Vga(std::string_view text);
  Result<> Audiodev(std::string_view text);
  Result<> Compat(std::string_view text);
  Result<> Msg(std::string_view text);

  // builder_devices.cpp
  Result<> Device(std::string_view text);
  Result<> Drive(std::string_view text);

  // builder_drives.cpp
  Result<> Cdrom(std::string_view file) { return ShortDrive(file, 2, true); }
  Result<> Hda(std::string_view file) { return ShortDrive(file, 0, false); }
  Result<> Hdb(std::string_view file) { return ShortDrive(file, 1, false); }
  Result<> Hdc(std::string_view file) { return ShortDrive(file, 2, false); }
  Result<> Hdd(std::string_view file) { return ShortDrive(file, 3, false); }
  Result<> ShortDrive(std::string_view file, unsigned port, bool cdrom);
  Result<> AddDrive(boost::json::object bag, const std::string& source);
  Result<unsigned> TakePort(boost::json::object* bag);
  void DefaultCdrom();
  Result<> Blockdev(std::string_view text);
  Result<> Netdev(std::string_view text);
  Result<> Nic(std::string_view text);
  Result<> Net(std::string_view text);
  void FinishDevices();

  // builder_chardevs.cpp
  Result<> Chardev(std::string_view text);
  Result<> Serial(std::string_view text);
  Result<> Monitor(std::string_view text) { return AddMonitor(text, MonitorConfig{}); }
  Result<> Qmp(std::string_view text) { return AddMonitor(text, MonitorConfig{{}, true, false}); }
  Result<> QmpPretty(std::string_view text) { return AddMonitor(text, MonitorConfig{{}, true, true}); }
  Result<> AddMonitor(std::string_view text, MonitorConfig monitor);
  Result<> Mon(std::string_view text);
  Result<> Debugcon(std::string_view text);
  Result<> Gdb(std::string_view text);
  Result<> Parallel(std::string_view text);
  Result<> FinishChardevs();
  // The chardev a short form names ("chardev:id") or makes under `id`; adds a monitor for "mon:". Empty:
  // "none".
  std::string ShortForm(std::string_view text, const std::string& id);

  // "help" and "?" ask what an option takes, "NAME,help" what NAME takes.
  static bool IsHelp(std::string_view text) { return text == "help" || text == "?"; }
  static std::optional<std::string_view> AsksForProperties(std::string_view text);
  Result<> Answer(std::string text);

  CommandLine& out_;
  MachineConfig& config_;
  bool nodefaults_ = false;
  bool snapshot_ = false;
  bool nographic_ = false;
  std::optional<std::string> vga_;  // -vga: "std" or "none"
  bool monitor_given_ = false;      // by -monitor, -mon or "mon:"
  bool default_nic_ = true;
  unsigned drive_count_[2] = {0, 0};  // if=virtio, if=none: for QEMU's made-up ids
  std::set<unsigned> ide_ports_;      // that -drive has filled
  unsigned nic_count_ = 0;
  std::vector<DeviceConfig> nics_;                   // PCI addresses go to NICs first,
  std::vector<DeviceConfig> devices_;                // then to -device in key=value form,
  std::vector<DeviceConfig> drive_devices_;          // then to -drive if=virtio,
  std::vector<boost::json::object> drive_policies_;  // of -drive if=none: drive, rerror, werror
  std::vector<DeviceConfig> json_devices_;           // then to -device in JSON form: QEMU 7.2's order
  std::set<std::string> audiodevs_;
  std::map<unsigned, boost::json::object> smbios_;  // what was given so far, by type
  std::string mem_path_;
  bool mem_prealloc_ = false;
  std::map<unsigned, NumaConfig::Node> numa_nodes_;  // by number
  std::map<std::pair<unsigned, unsigned>, uint8_t> numa_distances_;
};

}  // namespace nandu
