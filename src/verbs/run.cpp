#include "verbs/run.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run.h"
#include "verbs/image_facts.h"
#include "verbs/message.h"
#include "verbs/run_plan.h"
#include "verbs/seed.h"
#include "verbs/vm_directory.h"

namespace nandu {
namespace {

namespace fs = std::filesystem;

// The variable store of a VM of this name, kept from one run to the next.
Result<std::string> KeptVariables(const std::string& name) {
  const char* const state = std::getenv("XDG_STATE_HOME");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  const char* const home = std::getenv("HOME");             // NOLINT(concurrency-mt-unsafe)
  const std::string directory = state != nullptr && *state == '/' ? Format("{}/nandu", state)
                                : home != nullptr                 ? Format("{}/.local/state/nandu", home)
                                                                  : std::string("/var/tmp/nandu");
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) {
    return Fail(Errc::kIo, "cannot make {} for the VM's UEFI variables: {}", directory, failed.message());
  }
  return Format("{}/{}.vars.fd", directory, name);
}

Result<> CopyVariables(const std::string& to) {
  if (fs::exists(to)) {
    return {};
  }
  std::error_code failed;
  fs::copy_file(kUefiVariables, to, failed);
  if (failed) {
    return Fail(Errc::kNotFound, "--uefi: cannot copy {} to {}: {}; the firmware is in Debian's package ovmf",
                kUefiVariables, to, failed.message());
  }
  fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write);
  return {};
}

struct Formats {
  std::string image;
  std::vector<std::string> disks;
};

Result<Formats> FormatsOf(const RunOptions& options) {
  Formats formats;
  formats.image = options.format.empty() ? TRY(ImageFormat(options.image)) : options.format;
  for (const std::string& disk : options.disks) {
    formats.disks.push_back(TRY(Prefix(ImageFormat(disk), "--disk")));
  }
  return formats;
}

// Paths stay true whatever the current directory is, which -daemonize changes.
void MakeAbsolute(RunOptions* options) {
  for (std::string* path : {&options->image, &options->bios, &options->kernel, &options->initrd}) {
    const bool by_name =
        path == &options->bios && path->find('/') == std::string::npos;  // found where firmware is
    if (!path->empty() && !by_name) {
      *path = fs::absolute(*path).lexically_normal();
    }
  }
  for (std::string& disk : options->disks) {
    disk = fs::absolute(disk).lexically_normal();
  }
}

void SayHowToLeave(const RunOptions& options) {
  if (options.detach) {
    Note(Format("{} goes to the background; its console: nandu console {}; power it off: nandu stop {}",
                options.name, options.name, options.name));
  } else if (::isatty(STDIN_FILENO) != 0) {
    Note(Format("{} starts here; Ctrl-a x ends it at once, Ctrl-a h helps; from elsewhere: nandu stop {}",
                options.name, options.name));
  }
  if (options.ssh_port) {
    Note(Format("once it is up: ssh -p {} {}127.0.0.1", *options.ssh_port,
                options.seed.user.empty() ? "" : options.seed.user + "@"));
  }
}

int Become(const std::vector<std::string>& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  return RunCommandLine(views);
}

// What the command line names is made where the user is, since nothing else would make it.
Result<int> Print(const RunOptions& options) {
  const Formats formats = TRY(FormatsOf(options));
  RunPlaces places;
  if (options.seed.wanted()) {
    places.seed = fs::absolute(options.name + "-seed.iso");
  }
  if (options.uefi) {
    places.uefi_variables = fs::absolute(options.name + "-vars.fd");
  }
  std::vector<std::string> words = TRY(PlanRun(options, formats.image, formats.disks, places));
  if (!places.seed.empty()) {
    TRY(MakeSeed(places.seed, options.seed, options.name));
    Note(Format("wrote the seed {}, which the command names", places.seed));
  }
  if (!places.uefi_variables.empty()) {
    TRY(CopyVariables(places.uefi_variables));
    Note(Format("wrote the variable store {}, which the command names", places.uefi_variables));
  }
  words.insert(words.begin(), "nandu");
  std::printf("%s\n", ShellLine(words).c_str());
  return 0;
}

Result<int> Run(RunOptions options) {
  MakeAbsolute(&options);
  if (options.print) {
    return Print(options);
  }
  const Formats formats = TRY(FormatsOf(options));
  VmDirectory directory = TRY(VmDirectory::Claim(options.name));
  // The parent of a detached VM leaves without coming back here; the VM itself does.
  struct Cleanup {
    VmDirectory& directory;
    ~Cleanup() { directory.Remove(); }
  } const cleanup{directory};
  RunPlaces places;
  places.monitor = directory.File("qmp");
  places.pid_file = directory.File("pid");
  if (options.detach) {
    places.console_socket = directory.File("console");
  }
  if (options.seed.wanted()) {
    places.seed = directory.File("seed.iso");
    TRY(MakeSeed(places.seed, options.seed, options.name));
  }
  if (options.uefi) {
    places.uefi_variables = options.ephemeral ? directory.File("vars.fd") : TRY(KeptVariables(options.name));
    TRY(CopyVariables(places.uefi_variables));
  }
  const std::vector<std::string> words = TRY(PlanRun(options, formats.image, formats.disks, places));
  VmRecord record;
  record.name = options.name;
  record.image = options.image;
  record.cpus = options.cpus;
  record.memory = options.memory;
  record.ssh_port = options.ssh_port;
  record.user = options.seed.user;
  record.console_is_socket = options.detach;
  record.started_s = std::time(nullptr);
  TRY(directory.Write(record));
  SayHowToLeave(options);
  return Become(words);
}

}  // namespace

int RunImage(RunOptions options) {
  if (options.name.empty()) {
    options.name = NameFromImage(options.image);
  }
  if (options.cpus == 0) {
    options.cpus = UsualCpus();
  }
  return StatusOf(Run(std::move(options)));
}

}  // namespace nandu
