// One validated description of a VM: what the command line became, and all the machine is built from. Plain
// data.
//
// Property bags (-device, -blockdev, -netdev, -chardev, -object) stay JSON objects: key=value gives strings,
// the JSON form gives typed values; the factory that consumes one parses it into its described options struct
// and refuses what it does not know.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/described.h"
#include "boot/acpi_user_table.h"
#include "boot/smbios_options.h"

namespace nandu {

// A bag and the words it came from, for error sentences: "-device virtio-blk-pci,drive=disk0".
struct OptionBag {
  boost::json::object values;
  std::string source;
};

struct SmpConfig {
  unsigned cpus = 1;      // present at start
  unsigned max_cpus = 1;  // sockets * dies * cores * threads
  unsigned sockets = 1;
  unsigned dies = 1;
  unsigned cores = 1;
  unsigned threads = 1;
};

struct DeviceConfig {
  std::string driver;
  std::string id;  // empty: none given
  OptionBag options;
};

// -global: a default for the devices of a driver, or of a class of drivers (virtio-pci, pci-device).
struct GlobalConfig {
  std::string driver;
  std::string property;
  std::string value;
};

// Where a serial port, a monitor or QMP goes: a chardev by id.
struct MonitorConfig {
  std::string chardev;
  bool qmp = false;  // mode=control; else the human monitor
  bool pretty = false;
};

// A character backend: a -chardev bag, or the short form -serial, -monitor, -qmp and -debugcon take
// ("unix:/run/x,server=on").
struct ChardevConfig {
  std::string id;
  OptionBag options;
  std::string short_form;  // not empty: the words instead of options
  bool mux = false;        // "mon:": shared by a serial port and the monitor
};

// -drive: a block node by -drive's options; with an interface that implies a device (if=virtio) the CLI adds
// the DeviceConfig as well.
struct DriveConfig {
  std::string id;  // "disk0", or QEMU's "virtio0", "none0", "ide2-cd0"
  OptionBag options;
  bool empty = false;  // a CD-ROM drive's, without a medium
};

// -numa. Nodes are numbered from 0 without gaps.
struct NumaConfig {
  struct Node {
    std::vector<unsigned> cpus;  // vCPU indexes; every one is in one node
    std::string memdev;          // a memory backend; empty in all nodes: RAM is shared out evenly
  };
  std::vector<Node> nodes;                      // empty: one node that nobody talks about
  std::vector<std::vector<uint8_t>> distances;  // [from][to]; empty: none given
};

// -rtc: what the guest's clock starts at and what it follows.
struct RtcConfig {
  enum class Base : uint8_t { kUtc, kLocaltime, kDate };
  enum class Clock : uint8_t { kHost, kRt, kVm };
  Base base = Base::kUtc;
  int64_t date_s = 0;  // of kDate: seconds since 1970
  Clock clock = Clock::kHost;
  bool slew = false;  // driftfix=slew: periodic interrupts that were missed are made up for
};

// -trace and -d trace:.
struct TraceConfig {
  std::vector<std::string> patterns;
  std::vector<std::string> event_files;  // of patterns
  std::string file;                      // where lines go; empty: stderr
};

// -smbios. What stands in files is read by the machine.
struct SmbiosConfig {
  SmbiosOptions fields;  // all but what the files below bring
  struct OemString {
    std::string text;  // or the path of a file that holds it
    bool in_file = false;
  };
  std::vector<OemString> oem_strings;
  std::vector<std::string> structure_files;
  std::vector<uint8_t> given_types;  // those with fields
  bool entry_point_64 = false;       // -machine smbios-entry-point-type=64
};

// -add-fd.
struct AddFdConfig {
  int fd = -1;
  int64_t set = 0;
  std::optional<std::string> opaque;
};

// -acpitable.
struct AcpiTableConfig {
  AcpiTableFields fields;
  std::vector<std::string> files;  // read by the machine, one after the other
  bool whole = false;              // they hold the header as well
};

// -boot: what firmware does. Which device is tried first is bootindex's, or the order's where there is none.
struct BootConfig {
  std::string order;  // letters: a, b floppies, c disk, d CD-ROM, n network; empty: "cad"
  std::string once;   // the same, until the first reset
  bool menu = false;
  bool strict = false;
  std::optional<uint16_t> splash_time_ms;
  bool check_floppy = true;                   // a floppy without a signature is none
  std::optional<uint16_t> reboot_timeout_ms;  // wait this long and reboot where nothing boots; none: wait
};

// -option-rom: code for firmware to run.
struct OptionRomConfig {
  std::string file;
  int32_t bootindex = -1;  // it may boot the guest; negative: it is not asked to
};

// -fw_cfg name=,string= or file=.
struct FwCfgFileConfig {
  std::string name;
  std::string text;  // or the path of a file
  bool in_file = false;
};

// What a shutdown or reset, a guest's panic and a watchdog do (-no-reboot, -no-shutdown, -action,
// -watchdog-action).
enum class RebootAction : uint8_t { kReset, kShutdown };
enum class ShutdownAction : uint8_t { kPowerOff, kPause };
BOOST_DESCRIBE_ENUM(RebootAction, kReset, kShutdown)
BOOST_DESCRIBE_ENUM(ShutdownAction, kPowerOff, kPause)
inline std::span<const WireName> WireNames(const ShutdownAction* /*type*/) {
  static constexpr WireName kNames[] = {{"kPowerOff", "poweroff"}};
  return kNames;
}
enum class PanicAction : uint8_t { kPause, kShutdown, kExitFailure, kNone };
BOOST_DESCRIBE_ENUM(PanicAction, kPause, kShutdown, kExitFailure, kNone)
enum class WatchdogAction : uint8_t { kReset, kShutdown, kPoweroff, kPause, kDebug, kNone, kInjectNmi };
BOOST_DESCRIBE_ENUM(WatchdogAction, kReset, kShutdown, kPoweroff, kPause, kDebug, kNone, kInjectNmi)

// What set-action changes: those that are given.
struct ActionChanges {
  std::optional<RebootAction> reboot;
  std::optional<ShutdownAction> shutdown;
  std::optional<PanicAction> panic;
  std::optional<WatchdogAction> watchdog;
};
BOOST_DESCRIBE_STRUCT(ActionChanges, (), (reboot, shutdown, panic, watchdog))

// Who has the 8259s, the 8254 and the IOAPIC: KVM, or nandu (kernel-irqchip=split).
enum class IrqchipKind : uint8_t { kKernel, kSplit };

struct MachineConfig {
  std::string machine_type = "pc-q35-7.2";
  IrqchipKind irqchip = IrqchipKind::kKernel;
  bool hpet = true;
  bool acpi = true;     // false: no tables; firmware describes the board as before ACPI
  bool acpi_s4 = true;  // suspend to disk; ICH9-LPC.disable_s4
  bool sata = true;     // the AHCI function
  bool smbus = true;
  bool vmport = true;                    // VMware's backdoor and its mouse
  bool pit_discards_lost_ticks = false;  // the kernel's interval timer; else it makes up for them later
  bool no_reboot_strap = true;           // ICH9-LPC.noreboot: the watchdog resets nothing
  bool dump_guest_core = true;
  bool mem_merge = true;

  std::string cpu = "qemu64";  // model and features, as -cpu
  SmpConfig smp;
  uint64_t ram_bytes = uint64_t{128} << 20;
  std::vector<OptionBag> memory_backends;  // -object memory-backend-ram, -memfd, -file
  std::string memory_backend;  // the one that is all of RAM; empty: see numa, or memory of our own
  NumaConfig numa;
  bool lock_memory = false;  // -overcommit mem-lock=on

  std::string name;           // -name guest=
  std::string process_name;   // -name process=; empty: the program's
  bool debug_threads = true;  // threads have names of their own
  std::string uuid;           // canonical text; empty: none

  SmbiosConfig smbios;
  std::vector<AcpiTableConfig> acpi_tables;

  std::string kernel;  // paths; empty: none
  std::string initrd;
  std::string append;
  std::string bios;                   // empty: SeaBIOS, unless there is a kernel or flash
  std::array<std::string, 2> pflash;  // block nodes or -drives of firmware's flash; empty: none
  BootConfig boot;
  std::vector<OptionRomConfig> option_roms;
  std::vector<FwCfgFileConfig> fw_cfg_files;      // -fw_cfg, in order
  bool nographic = false;                         // what firmware is told of it: talk to the serial port
  std::vector<std::string> firmware_directories;  // -L, in order; searched before the distribution's

  std::vector<AddFdConfig> add_fds;
  std::vector<OptionBag> iothreads;  // -object iothread,id=...
  std::vector<OptionBag> blockdevs;  // in order
  std::vector<DriveConfig> drives;
  std::vector<OptionBag> netdevs;
  std::vector<ChardevConfig> chardevs;  // every one, also those of -serial and -monitor
  std::vector<DeviceConfig> devices;    // in command-line order: it decides PCI addresses
  std::vector<std::string> serials;     // chardev ids for COM1..4; empty string: port absent
  std::vector<GlobalConfig> globals;    // in order: later ones win
  char escape_key = '\x01';             // of chardevs that several share
  std::string debugcon;                 // chardev id; empty: none
  std::vector<MonitorConfig> monitors;

  std::string gdb;  // chardev id of -gdb; empty: none

  RtcConfig rtc;
  bool start_paused = false;  // -S
  RebootAction reboot = RebootAction::kReset;
  ShutdownAction shutdown = ShutdownAction::kPowerOff;
  PanicAction panic = PanicAction::kShutdown;
  WatchdogAction watchdog = WatchdogAction::kReset;

  // The process's own, used by the start sequence.
  bool daemonize = false;
  std::string pidfile;
  std::string log_file;
  bool log_every_guest_error = false;  // -d guest_errors: not one a second
  TraceConfig trace;
  bool msg_timestamp = false;   // messages on stderr begin with the time,
  bool msg_guest_name = false;  // and with the guest's name
};

}  // namespace nandu
