// The state of one command line being turned into a MachineConfig. Internal to the cli room; config_builder.h
// is its face.
#pragma once

#include <map>
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
  Result<> Rtc(std::string_view text);

  // builder_board.cpp
  Result<> Global(std::string_view text);
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
  Result<> Display(std::string_view text);
  Result<> Vga(std::string_view text);

  // builder_devices.cpp
  Result<> Device(std::string_view text);
  Result<> Drive(std::string_view text);
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

  CommandLine& out_;
  MachineConfig& config_;
  bool nodefaults_ = false;
  bool nographic_ = false;
  bool monitor_given_ = false;  // by -monitor, -mon or "mon:"
  bool default_nic_ = true;
  unsigned drive_count_[2] = {0, 0};  // if=virtio, if=none: for QEMU's made-up ids
  unsigned nic_count_ = 0;
  std::vector<DeviceConfig> nics_;           // PCI addresses go to NICs first,
  std::vector<DeviceConfig> devices_;        // then to -device in key=value form,
  std::vector<DeviceConfig> drive_devices_;  // then to -drive if=virtio,
  std::vector<DeviceConfig> json_devices_;   // then to -device in JSON form: QEMU 7.2's order
  std::string mem_path_;
  bool mem_prealloc_ = false;
  std::map<unsigned, NumaConfig::Node> numa_nodes_;  // by number
  std::map<std::pair<unsigned, unsigned>, uint8_t> numa_distances_;
};

}  // namespace nandu
