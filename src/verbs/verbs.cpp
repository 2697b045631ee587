#include "verbs/verbs.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/help.h"
#include "cli/option_table.h"
#include "machine/device_support.h"
#include "verbs/boot_test.h"
#include "verbs/completion.h"
#include "verbs/message.h"
#include "verbs/named_vm.h"
#include "verbs/run.h"

namespace nandu {
namespace {

constexpr std::string_view kVerbs[] = {"run",     "boot-test", "ps",         "console",    "stop",
                                       "pause",   "resume",    "info",       "screenshot", "qmp",
                                       "options", "devices",   "completion", "help",       "version"};

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// The range stands in the text or in the error, not beside the option's name.
CLI::Validator Quiet(CLI::Validator validator) {
  validator.description("");
  return validator;
}

// What every VM made of an image takes.
void AddImageOptions(CLI::App* app, RunOptions* run) {
  app->add_option("--format", run->format, "the image's format, where its content does not say it")
      ->check(Quiet(CLI::IsMember({"raw", "qcow2"})));
  app->add_option("--cpus", run->cpus, "virtual processors (2, or what the host has)")
      ->check(Quiet(CLI::Range(1, 288)));
  app->add_option("--memory", run->memory, "memory")->capture_default_str();
  app->add_option("--disk", run->disks, "one more disk; may be given several times")->allow_extra_args(false);
  app->add_option("--net", run->net, "user, tap:NAME or none")->capture_default_str();
  app->add_option("--user", run->seed.user,
                  "make this user at the first boot (cloud-init), who may use sudo");
  app->add_option("--password", run->seed.password, "the user's password, or that of the image's own user");
  app->add_option("--ssh-key", run->seed.ssh_key, "let this public key in: the key or a file");
  app->add_option("--cloud-init", run->seed.directory,
                  "a directory with user-data and meta-data, instead of a user");
  app->add_flag("--uefi", run->uefi, "boot by UEFI (OVMF) instead of by BIOS");
  app->add_option("--bios", run->bios, "boot by this firmware file instead of by SeaBIOS");
  app->add_option("--kernel", run->kernel, "boot this kernel directly, without firmware");
  app->add_option("--initrd", run->initrd, "the kernel's initramfs");
  app->add_option("--append", run->append, "the kernel's command line");
}

struct Commands {
  explicit Commands(CLI::App* app) {
    AddRun(app->add_subcommand("run",
                               "boot an image: a VM with sensible defaults, its console on this terminal"));
    AddBootTest(app->add_subcommand(
        "boot-test", "boot images as CI does and say whether they come up; nothing is written to them"));
    AddNamed(app);
    AddLists(app);
  }

  int Dispatch(const std::string& overview) const {
    if (run->parsed()) {
      return RunImage(run_options);
    }
    if (boot_test->parsed()) {
      return BootTest(test_options);
    }
    if (ps->parsed()) {
      return StatusOf(ListRunning(json));
    }
    if (stop->parsed()) {
      return StatusOf(StopVm(name, force, timeout_s));
    }
    if (pause->parsed()) {
      return StatusOf(PauseVm(name));
    }
    if (resume->parsed()) {
      return StatusOf(ResumeVm(name));
    }
    if (info->parsed()) {
      return StatusOf(ShowVm(name));
    }
    if (screenshot->parsed()) {
      return StatusOf(SaveScreen(name, file));
    }
    if (qmp->parsed()) {
      return StatusOf(SendQmp(name, command));
    }
    if (console->parsed()) {
      return StatusOf(JoinConsole(name));
    }
    if (options->parsed()) {
      Print(markdown ? OptionSupportMarkdown() : OptionSupportText());
    } else if (devices->parsed()) {
      Print(markdown ? DeviceSupportMarkdown() : DeviceSupportText());
    } else if (completion->parsed()) {
      Print(CompletionScript(shell, Completed()));
    } else if (help->parsed()) {
      Print(overview + "\nA command's own help: nandu COMMAND --help\nQEMU's options: nandu -help\n");
    } else {
      Print(VersionText());
    }
    return 0;
  }

 private:
  void AddRun(CLI::App* app) {
    run = app;
    app->add_option("image", run_options.image, "the disk image: raw or qcow2")->required();
    AddImageOptions(app, &run_options);
    app->add_option("--name", run_options.name, "the VM's name (the image's)");
    app->add_option("--ssh", run_options.ssh_port, "this port of the host is the guest's ssh")
        ->check(Quiet(CLI::Range(1, 65535)));
    app->add_option("--forward", run_options.forwards,
                    "HOST:GUEST, a port of the host that is one of the guest; may be given several times")
        ->allow_extra_args(false);
    app->add_flag("--ephemeral", run_options.ephemeral,
                  "write nothing to the images: what the guest writes goes with the VM");
    app->add_option("--display", display, "none: there is no window yet; nandu screenshot shows the screen")
        ->check(Quiet(CLI::IsMember({"none"})));
    app->add_flag("--detach", run_options.detach, "leave it in the background; nandu console NAME joins it");
    app->add_flag("--print", run_options.print,
                  "print the equivalent command line of QEMU's options instead");
    app->footer(
        "Examples:\n"
        "  nandu run debian-12-generic-amd64.qcow2 --user me --ssh-key ~/.ssh/id_ed25519.pub --ssh 2222\n"
        "  nandu run disk.raw --ephemeral --memory 4G --cpus 4\n"
        "  nandu run debian.qcow2 --name web --detach --forward 8080:80 --password secret\n"
        "  nandu run debian.qcow2 --uefi --print");
  }
  void AddBootTest(CLI::App* app) {
    boot_test = app;
    app->add_option("image", test_options.images, "disk images")->required();
    AddImageOptions(app, &test_options.run);
    app->add_option("--expect", test_options.expect,
                    "wait for a line that matches this extended regular expression (a login prompt)");
    app->add_option("--timeout", test_options.timeout_s, "seconds until it has failed")
        ->capture_default_str()
        ->check(Quiet(CLI::Range(1, 86400)));
    app->add_option("--run", test_options.command,
                    "then log in on the console and run this; its status must be 0");
    app->add_option("--junit", test_options.junit, "write the results as JUnit XML");
    app->add_option("--log", test_options.log, "write the serial console's text");
    app->add_option("--screenshot", test_options.screenshot,
                    "write the screen's last picture (.png or .ppm)");
    app->add_option("--timeline", test_options.timeline, "write how long each stage took (.json or .svg)");
    app->add_option("--jobs", test_options.jobs, "how many images to boot at once")
        ->capture_default_str()
        ->check(Quiet(CLI::Range(1, 64)));
    app->footer(
        "With several images, {} in a file's name is the image's.\n"
        "Exit status: 0 all passed, 1 one did not, 2 a wrong command line.\n\n"
        "Examples:\n"
        "  nandu boot-test image.qcow2 --junit results.xml --log console.log\n"
        "  nandu boot-test image.qcow2 --run 'systemctl is-system-running --wait' --timeout 600\n"
        "  nandu boot-test *.qcow2 --jobs 4 --timeline '{}.svg' --screenshot '{}.png'");
  }
  void AddNamed(CLI::App* app) {
    ps = app->add_subcommand("ps", "list the VMs that run");
    ps->add_flag("--json", json, "as JSON");
    console = Named(app, "console", "join the serial console of a VM in the background");
    stop = Named(app, "stop", "press a VM's power button, and wait until it is off");
    stop->add_flag("--force", force, "end it at once, as if its power were cut");
    stop->add_option("--timeout", timeout_s, "seconds to wait")->capture_default_str();
    pause = Named(app, "pause", "hold a VM");
    resume = Named(app, "resume", "let a held VM go on");
    info = Named(app, "info", "tell what a VM is and does");
    screenshot = Named(app, "screenshot", "save a picture of a VM's screen");
    screenshot->add_option("file", file, "a .png or .ppm file")->required();
    qmp = Named(app, "qmp", "send a VM's monitor a command");
    qmp->add_option("command", command, "a command's name, or a whole command in JSON")->required();
    qmp->footer("Examples:\n  nandu qmp web query-block\n  nandu qmp web '{\"execute\":\"system_reset\"}'");
  }
  CLI::App* Named(CLI::App* app, const char* verb, const char* what) {
    CLI::App* named = app->add_subcommand(verb, what);
    named->add_option("name", name, "the VM's name, as nandu ps shows it")->required();
    return named;
  }
  void AddLists(CLI::App* app) {
    options = app->add_subcommand(
        "options", "list QEMU's options: which work, which are planned, which are refused and why");
    options->add_flag("--markdown", markdown, "the list as docs/command-line.md");
    devices = app->add_subcommand(
        "devices", "list QEMU's devices: which work, which are planned, which are refused and why");
    devices->add_flag("--markdown", markdown, "the list as a table of docs/devices.md");
    completion = app->add_subcommand("completion", "print a completion script for your shell");
    completion->add_option("shell", shell, "bash, zsh or fish")
        ->required()
        ->check(Quiet(CLI::IsMember({"bash", "zsh", "fish"})));
    completion->footer("Example:\n  nandu completion bash > /etc/bash_completion.d/nandu");
    help = app->add_subcommand("help", "list the commands");
    version = app->add_subcommand("version", "print the version");
  }

  // From what the words are parsed with.
  std::vector<CompletedVerb> Completed() const {
    std::vector<CompletedVerb> verbs;
    for (const CLI::App* verb : run->get_parent()->get_subcommands([](const CLI::App*) { return true; })) {
      CompletedVerb completed;
      completed.name = verb->get_name();
      completed.text = verb->get_description();
      for (const CLI::Option* option : verb->get_options()) {
        if (!option->get_positional()) {
          completed.options.push_back(option->get_name().substr(option->get_name().find("--")));
        }
        completed.takes_vm = completed.takes_vm || option->get_name() == "name";
      }
      verbs.push_back(std::move(completed));
    }
    return verbs;
  }

  CLI::App *run, *boot_test, *ps, *console, *stop, *pause, *resume, *info, *screenshot, *qmp, *options,
      *devices, *completion, *help, *version;
  RunOptions run_options;
  BootTestOptions test_options;
  std::string name, file, command, shell, display;
  bool json = false, force = false, markdown = false;
  unsigned timeout_s = 60;
};

// "--cpus N", not CLI11's "--cpus UINT:INT in [1 - 288]": what a wrong value may be, its error says.
void NameValues(CLI::App* app) {
  static constexpr std::pair<std::string_view, const char*> kNames[] = {
      {"--cpus", "N"},        {"--jobs", "N"},      {"--timeout", "S"},      {"--ssh", "PORT"},
      {"--memory", "SIZE"},   {"--net", "NET"},     {"--forward", "H:G"},    {"--user", "NAME"},
      {"--password", "TEXT"}, {"--ssh-key", "KEY"}, {"--cloud-init", "DIR"}, {"--name", "NAME"},
      {"--expect", "REGEX"},  {"--run", "CMD"},     {"--append", "TEXT"},    {"--format", "raw|qcow2"},
      {"--display", "KIND"}};
  for (CLI::Option* option :
       app->get_options([](const CLI::Option* each) { return each->get_items_expected_max() > 0; })) {
    const std::string name = option->get_name();
    const auto* const known =
        std::ranges::find_if(kNames, [&](const auto& each) { return name == each.first; });
    option->type_name(known != std::end(kNames) ? known->second : name.starts_with("--") ? "FILE" : "");
  }
  for (CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; })) {
    NameValues(verb);
  }
}

}  // namespace

bool IsVerb(std::string_view word) { return std::ranges::find(kVerbs, word) != std::end(kVerbs); }

int RunVerb(std::span<const std::string_view> arguments) {
  CLI::App app("nandu: virtual machines on Linux KVM, with QEMU's command line", "nandu");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "print this help and exit");
  const Commands commands(&app);
  NameValues(&app);
  const std::string overview =
      app.help();  // before parsing: afterwards it is the help of the command that was named
  std::vector<std::string> words(arguments.begin(), arguments.end());
  std::ranges::reverse(words);  // CLI11 takes them last word first
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return commands.Dispatch(overview);
}

}  // namespace nandu
