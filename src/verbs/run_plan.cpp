#include "verbs/run_plan.h"

#include <algorithm>
#include <charconv>
#include <thread>

namespace nandu {
namespace {

// A comma in a value of key=value is written twice.
std::string Doubled(std::string_view value) {
  std::string text;
  for (const char c : value) {
    text += c;
    if (c == ',') {
      text += c;
    }
  }
  return text;
}

Result<uint16_t> Port(std::string_view text, std::string_view whole) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return Fail(Errc::kInvalidArgument, "--forward {}: say HOST:GUEST, each a port from 1 to 65535", whole);
  }
  return port;
}

class Words {
 public:
  void Add(std::string option, std::string value) {
    words_.push_back(std::move(option));
    words_.push_back(std::move(value));
  }
  void Disk(const std::string& file, const std::string& format, std::string_view more = {}) {
    Add("-drive", Format("file={},format={},if=virtio,discard=unmap{}", Doubled(file), format, more));
  }
  std::vector<std::string> Take() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
};

Result<> AddNetwork(const RunOptions& options, Words* words) {
  const bool forwards = options.ssh_port || !options.forwards.empty();
  if (forwards && options.net != "user") {
    return Fail(Errc::kInvalidArgument,
                "--ssh and --forward belong to --net user; with {} the guest has an address of its own",
                options.net);
  }
  if (options.net == "none") {
    return {};
  }
  std::string netdev = "user,id=net0";
  if (options.net.starts_with("tap:") && options.net.size() > 4) {
    netdev = Format("tap,id=net0,ifname={},script=no,downscript=no", Doubled(options.net.substr(4)));
  } else if (options.net != "user") {
    return Fail(Errc::kInvalidArgument, "--net {}: it is user, tap:NAME or none", options.net);
  }
  if (options.ssh_port) {
    netdev += Format(",hostfwd=tcp:127.0.0.1:{}-:22", *options.ssh_port);
  }
  for (const std::string& forward : options.forwards) {
    const size_t colon = std::min(forward.find(':'), forward.size());
    const uint16_t host = TRY(Port(std::string_view(forward).substr(0, colon), forward));
    const uint16_t guest =
        TRY(Port(std::string_view(forward).substr(std::min(colon + 1, forward.size())), forward));
    netdev += Format(",hostfwd=tcp:127.0.0.1:{}-:{}", host, guest);
  }
  words->Add("-netdev", netdev);
  words->Add("-device", "virtio-net-pci,netdev=net0");
  return {};
}

Result<> AddFirmware(const RunOptions& options, const RunPlaces& places, Words* words) {
  const int kinds =
      (options.uefi ? 1 : 0) + (options.bios.empty() ? 0 : 1) + (options.kernel.empty() ? 0 : 1);
  if (kinds > 1) {
    return Fail(Errc::kInvalidArgument,
                "--uefi, --bios and --kernel each say what starts the guest; give one of them");
  }
  if (options.kernel.empty() && !(options.initrd.empty() && options.append.empty())) {
    return Fail(Errc::kInvalidArgument, "--initrd and --append belong to a kernel: give it with --kernel");
  }
  if (options.uefi) {
    words->Add("-drive", Format("if=pflash,unit=0,format=raw,readonly=on,file={}", kUefiCode));
    words->Add("-drive", Format("if=pflash,unit=1,format=raw,file={}", Doubled(places.uefi_variables)));
  } else if (!options.bios.empty()) {
    words->Add("-bios", options.bios);
  } else if (!options.kernel.empty()) {
    words->Add("-kernel", options.kernel);
    if (!options.initrd.empty()) {
      words->Add("-initrd", options.initrd);
    }
    words->Add("-append", options.append.empty() ? "console=ttyS0" : options.append);
  }
  return {};
}

}  // namespace

unsigned UsualCpus() {
  constexpr unsigned kUsual = 2;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kUsual);
}

Result<std::vector<std::string>> PlanRun(const RunOptions& options, const std::string& image_format,
                                         const std::vector<std::string>& disk_formats,
                                         const RunPlaces& places) {
  const unsigned cpus = options.cpus != 0 ? options.cpus : UsualCpus();
  const char* const snapshot = options.ephemeral ? ",snapshot=on" : "";
  Words words;
  words.Add("-name", Format("guest={}", Doubled(options.name)));
  words.Add("-machine", "q35,accel=kvm");
  words.Add("-cpu", "host");
  words.Add("-smp", Format("{}", cpus));
  words.Add("-m", options.memory);
  std::vector<std::string> bare = {"-nodefaults", "-no-user-config"};
  words.Add("-display", "none");
  words.Add("-vga", "std");
  words.Add("-device", "virtio-rng-pci");
  TRY(AddFirmware(options, places, &words));
  words.Disk(options.image, image_format, snapshot);
  for (size_t i = 0; i < options.disks.size(); ++i) {
    words.Disk(options.disks[i], disk_formats.at(i), snapshot);
  }
  if (!places.seed.empty()) {
    // A disk, not a CD-ROM: Debian's cloud kernel has no driver for one.
    words.Add("-drive", Format("file={},format=raw,if=virtio,readonly=on", Doubled(places.seed)));
  }
  TRY(AddNetwork(options, &words));
  if (places.console_socket.empty()) {
    words.Add("-serial", "mon:stdio");
  } else {
    words.Add("-chardev",
              Format("socket,id=console,path={},server=on,wait=off", Doubled(places.console_socket)));
    words.Add("-serial", "chardev:console");
  }
  if (!places.monitor.empty()) {
    words.Add("-qmp", Format("unix:{},server=on,wait=off", Doubled(places.monitor)));
  }
  if (!places.pid_file.empty()) {
    words.Add("-pidfile", places.pid_file);
  }
  if (options.detach) {
    bare.emplace_back("-daemonize");
  }
  std::vector<std::string> all = words.Take();
  all.insert(all.end(), bare.begin(), bare.end());
  return all;
}

std::string ShellLine(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+";
  std::string line;
  for (const std::string& word : words) {
    line += line.empty() ? "" : " ";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += "'";
    for (const char c : word) {
      line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    line += "'";
  }
  return line;
}

}  // namespace nandu
