// -machine, -accel, -cpu, -smp, -m, -name, -uuid, -action and -overcommit.

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "cli/builder.h"
#include "cli/help.h"
#include "cli/numbers.h"
#include "cli/property_list.h"
#include "machine/help.h"

namespace nandu {
namespace {

constexpr unsigned kMostCpus = 288;  // of QEMU's q35 machines
constexpr std::string_view kMachineTypes[] = {"q35", "pc-q35-7.2"};

Result<> TakeAccelerators(const std::string& names) {
  // "kvm:tcg" asks for the first that works. KVM always comes first here, and nandu does not fall back to a
  // translator it lacks.
  if (names != "kvm" && !names.starts_with("kvm:")) {
    return Fail(Errc::kUnsupported, "accelerator '{}': nandu runs guests on KVM only; use accel=kvm", names);
  }
  return {};
}

Result<> TakeIrqchip(PropertyList* list, IrqchipKind* kind) {
  const std::string text = list->Take("kernel-irqchip");
  if (text == "on" || text == "split") {
    *kind = text == "split" ? IrqchipKind::kSplit : IrqchipKind::kKernel;
  } else if (text == "off") {
    return Fail(
        Errc::kUnsupported,
        "kernel-irqchip=off: guests use the kernel's local APICs; use kernel-irqchip=split to have the "
        "other interrupt controllers outside the kernel");
  } else if (!text.empty()) {
    return Fail(Errc::kInvalidArgument, "kernel-irqchip={}: known are on, split and off", text);
  }
  return {};
}

// Properties of a q35 machine that wait for what they are about.
Result<> TakeMachineRest(PropertyList* list) {
  struct Waits {
    std::string_view key;
    std::initializer_list<std::string_view> served;
    std::string_view why;
  };
  constexpr std::string_view kFirmware = "it waits for firmware";
  constexpr std::string_view kTrust = "it waits for trust in the guest (SEV and SGX)";
  constexpr std::string_view kDeviceTree = "x86 guests take no device tree";
  const Waits rest[] = {
      {"max-fw-size", {}, kFirmware},
      {"boot", {}, kFirmware},
      {"memory-encryption", {}, kTrust},
      {"confidential-guest-support", {}, kTrust},
      {"sgx-epc", {}, kTrust},
      {"dtb", {}, kDeviceTree},
      {"dumpdtb", {}, kDeviceTree},
      {"dt-compatible", {}, kDeviceTree},
      {"phandle-start", {}, kDeviceTree},
      {"max-ram-below-4g", {"0"}, "low memory is split where QEMU splits it by default"},
      {"default-bus-bypass-iommu", {"off"}, "it waits for IOMMUs"},
      {"bus-lock-ratelimit", {"0"}, "it waits for bus lock exits"},
      {"pcspk-audiodev", {}, "it waits for sound"},
      {"x-oem-id", {"BOCHS"}, "it waits for OEM names in the ACPI tables"},
      {"x-oem-table-id", {"BXPC"}, "it waits for OEM names in the ACPI tables"},
      {"kvm-shadow-mem", {}, "the kernel sizes its shadow pages"},
      {"igd-passthru", {"off"}, "it belongs to Xen"},
  };
  for (const Waits& one : rest) {
    TRY(list->TakeOnly(one.key, one.served, one.why));
  }
  return {};
}

}  // namespace

Result<> Builder::Machine(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(MachineHelpText());
  }
  const auto asked = AsksForProperties(text);
  PropertyList list = TRY(PropertyList::Parse(asked ? *asked : text, "type"));
  const std::string type = list.Take("type", config_.machine_type);
  if (type == "none") {
    return Fail(Errc::kUnsupported, "machine type 'none' waits for libvirt's probe; known: q35 (pc-q35-7.2)");
  }
  if (std::ranges::find(kMachineTypes, type) == std::end(kMachineTypes)) {
    return Fail(Errc::kUnsupported, "machine type '{}' is not served; known: q35 (pc-q35-7.2)", type);
  }
  config_.machine_type = "pc-q35-7.2";
  TRY(TakeAccelerators(list.Take("accel", "kvm")));
  TRY(TakeIrqchip(&list, &config_.irqchip));
  config_.hpet = TRY(list.TakeSwitch("hpet", config_.hpet));
  config_.dump_guest_core = TRY(list.TakeSwitch("dump-guest-core", config_.dump_guest_core));
  config_.mem_merge = TRY(list.TakeSwitch("mem-merge", config_.mem_merge));
  config_.kernel = list.Take("kernel", config_.kernel);
  config_.initrd = list.Take("initrd", config_.initrd);
  config_.append = list.Take("append", config_.append);
  config_.bios = list.Take("firmware", config_.bios);
  config_.pflash[0] = list.Take("pflash0", config_.pflash[0]);
  config_.pflash[1] = list.Take("pflash1", config_.pflash[1]);
  config_.memory_backend = list.Take("memory-backend", config_.memory_backend);
  if (const std::string acpi = list.Take("acpi", "auto"); acpi != "auto") {
    config_.acpi = TRY(Prefix(SwitchFrom(acpi), "acpi"));
  }
  TRY(list.TakeOnly("usb", {"off"}, "there is no USB yet"));
  TRY(list.TakeOnly("smm", {"off", "auto"}, "system management mode waits for firmware"));
  if (const std::string vmport = list.Take("vmport", "auto"); vmport != "auto") {
    config_.vmport = TRY(Prefix(SwitchFrom(vmport), "vmport"));
  }
  TRY(list.TakeOnly("graphics", {"off"}, "there is no display yet"));
  TRY(list.TakeOnly("pic", {"on", "auto"}, "the board has its 8259s"));
  TRY(list.TakeOnly("pit", {"on", "auto"}, "the board has its 8254"));
  TRY(list.TakeOnly("i8042", {"on"}, "the keyboard controller is part of the board"));
  config_.sata = TRY(list.TakeSwitch("sata", config_.sata));
  config_.smbus = TRY(list.TakeSwitch("smbus", config_.smbus));
  TRY(list.TakeOnly("suppress-vmdesc", {"off", "on"}, "migration streams carry no description"));
  TRY(list.TakeOnly("nvdimm", {"off"}, "there are no NVDIMMs yet"));
  TRY(list.TakeOnly("hmat", {"off"}, "there is no HMAT yet"));
  const std::string entry_point = list.Take("smbios-entry-point-type", "32");
  if (entry_point != "32" && entry_point != "64") {
    return Fail(Errc::kInvalidArgument, "smbios-entry-point-type={}: known are 32 and 64", entry_point);
  }
  config_.smbios.entry_point_64 = entry_point == "64";
  TRY(TakeMachineRest(&list));
  if (asked) {
    return Answer(Format("pc-q35-7.2-machine options:\n{}", list.KnownText()));
  }
  return list.Finish();
}

Result<> Builder::Accel(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(AccelHelpText());
  }
  PropertyList list = TRY(PropertyList::Parse(text, "accel"));
  TRY(TakeAccelerators(list.Take("accel", "kvm")));
  TRY(TakeIrqchip(&list, &config_.irqchip));
  TRY(list.TakeOnly("thread", {"multi"}, "each vCPU has a thread"));
  TRY(list.TakeOnly("dirty-ring-size", {"0"}, "the dirty ring waits for migration"));
  return list.Finish();
}

Result<> Builder::Cpu(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(CpuHelpText());
  }
  config_.cpu = text;
  return {};
}

Result<> Builder::Smp(std::string_view text) {
  constexpr unsigned kMost = 4096;
  PropertyList list = TRY(PropertyList::Parse(text, "cpus"));
  const unsigned cpus = TRY(list.TakeNumber("cpus", 0, 1, kMost));
  unsigned max_cpus = TRY(list.TakeNumber("maxcpus", 0, 1, kMost));
  unsigned sockets = TRY(list.TakeNumber("sockets", 0, 1, kMost));
  const unsigned dies = TRY(list.TakeNumber("dies", 1, 1, kMost));
  unsigned cores = TRY(list.TakeNumber("cores", 0, 1, kMost));
  unsigned threads = TRY(list.TakeNumber("threads", 0, 1, kMost));
  TRY(list.TakeOnly("clusters", {"1"}, "x86 CPUs have no clusters"));
  TRY(list.Finish());
  // QEMU 6.2 and later: what is not given is filled in with cores before sockets, sockets before threads.
  unsigned total = max_cpus != 0 ? max_cpus : cpus;
  if (total == 0) {
    total = std::max(sockets, 1U) * dies * std::max(cores, 1U) * std::max(threads, 1U);
  }
  if (cores == 0) {
    sockets = std::max(sockets, 1U);
    threads = std::max(threads, 1U);
    cores = total / (sockets * dies * threads);
  } else if (sockets == 0) {
    threads = std::max(threads, 1U);
    sockets = total / (dies * cores * threads);
  } else if (threads == 0) {
    threads = total / (sockets * dies * cores);
  }
  if (uint64_t{sockets} * dies * cores * threads != total) {
    return Fail(Errc::kInvalidArgument,
                "sockets ({}) * dies ({}) * cores ({}) * threads ({}) is not the number of CPUs ({})",
                sockets, dies, cores, threads, total);
  }
  const unsigned present = cpus != 0 ? cpus : total;
  if (total > kMostCpus) {
    return Fail(Errc::kInvalidArgument, "{} CPUs: the machine type '{}' takes {} at most", total,
                config_.machine_type, kMostCpus);
  }
  if (present != total) {
    return Fail(Errc::kUnsupported,
                "maxcpus={} with cpus={}: vCPUs cannot be plugged in later yet; make both the same", total,
                present);
  }
  config_.smp = SmpConfig{present, total, sockets, dies, cores, threads};
  return {};
}

Result<> Builder::Memory(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "size"));
  const std::string size = list.Take("size");
  if (!size.empty()) {
    config_.ram_bytes = TRY(SizeFrom(size, uint64_t{1} << 20));
  }
  TRY(list.TakeOnly("slots", {"0"}, "memory cannot be plugged in later yet"));
  TRY(list.TakeOnly("maxmem", {size}, "memory cannot be plugged in later yet"));
  return list.Finish();
}

Result<> Builder::Name(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, "guest"));
  config_.name = list.Take("guest", config_.name);
  config_.process_name = list.Take("process", config_.process_name);
  config_.debug_threads = TRY(list.TakeSwitch("debug-threads", config_.debug_threads));
  return list.Finish();
}

Result<> Builder::Uuid(std::string_view text) {
  constexpr size_t kDashes[] = {8, 13, 18, 23};
  bool good = text.size() == 36;
  for (size_t i = 0; good && i < text.size(); ++i) {
    const bool dash = std::ranges::find(kDashes, i) != std::end(kDashes);
    good = dash ? text[i] == '-' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
  }
  if (!good) {
    return Fail(Errc::kInvalidArgument, "'{}' is no UUID; write xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", text);
  }
  config_.uuid = text;
  std::ranges::transform(config_.uuid, config_.uuid.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {};
}

Result<> Builder::Action(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, {}));
  const std::string reboot = list.Take("reboot");
  const std::string shutdown = list.Take("shutdown");
  const std::string panic = list.Take("panic");
  const std::string watchdog = list.Take("watchdog");
  TRY(list.Finish());
  TRY(PanicAct(panic));
  TRY(WatchdogAct(watchdog));
  if (!reboot.empty()) {
    if (reboot != "reset" && reboot != "shutdown") {
      return Fail(Errc::kInvalidArgument, "reboot={}: known are reset and shutdown", reboot);
    }
    config_.reboot = reboot == "reset" ? RebootAction::kReset : RebootAction::kShutdown;
  }
  if (!shutdown.empty()) {
    if (shutdown != "poweroff" && shutdown != "pause") {
      return Fail(Errc::kInvalidArgument, "shutdown={}: known are poweroff and pause", shutdown);
    }
    config_.shutdown = shutdown == "pause" ? ShutdownAction::kPause : ShutdownAction::kPowerOff;
  }
  return {};
}

Result<> Builder::Overcommit(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, {}));
  config_.lock_memory = TRY(list.TakeSwitch("mem-lock", config_.lock_memory));
  TRY(list.TakeOnly("cpu-pm", {"off"}, "the host keeps its power management"));
  return list.Finish();
}

Result<> Builder::AddFd(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, ""));
  for (const char* needed : {"fd", "set"}) {
    if (!list.Has(needed)) {
      return Fail(Errc::kInvalidArgument, "{}= is missing: -add-fd fd=DESCRIPTOR,set=NUMBER[,opaque=TEXT]",
                  needed);
    }
  }
  AddFdConfig add;
  add.fd = static_cast<int>(TRY(list.TakeNumber("fd", 0, 0, INT32_MAX)));
  add.set = TRY(list.TakeNumber("set", 0, 0, INT32_MAX));
  if (list.Has("opaque")) {
    add.opaque = list.Take("opaque");
  }
  config_.add_fds.push_back(std::move(add));
  return list.Finish();
}

}  // namespace nandu
