#include "cli/verbs.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/help.h"
#include "cli/option_table.h"
#include "machine/device_support.h"

namespace nandu {
namespace {

constexpr std::string_view kVerbs[] = {"run", "options", "devices", "completion", "help", "version"};

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

bool IsVerb(std::string_view word) { return std::ranges::find(kVerbs, word) != std::end(kVerbs); }

VerbOutcome RunVerb(std::span<const std::string_view> arguments) {
  if (arguments[0] == "run") {
    return {true, 0, arguments.subspan(1)};  // QEMU's options: the tokenizer's, not CLI11's
  }
  CLI::App app("nandu: virtual machines on Linux KVM, with QEMU's command line", "nandu");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "print this help and exit");
  app.add_subcommand("run", "run a VM with QEMU's options, as nandu does without a command");
  CLI::App* options = app.add_subcommand(
      "options", "list QEMU's options: which work, which are planned, which are refused and why");
  bool markdown = false;
  options->add_flag("--markdown", markdown, "the list as docs/command-line.md");
  CLI::App* devices = app.add_subcommand(
      "devices", "list QEMU's devices: which work, which are planned, which are refused and why");
  devices->add_flag("--markdown", markdown, "the list as a table of docs/devices.md");
  CLI::App* completion = app.add_subcommand("completion", "print a completion script for your shell");
  std::string shell;
  completion->add_option("shell", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer("Example:\n  nandu completion bash > /etc/bash_completion.d/nandu");
  CLI::App* help = app.add_subcommand("help", "list the commands");
  CLI::App* version = app.add_subcommand("version", "print the version");

  const std::string overview =
      app.help();  // before parsing: afterwards it is the help of the command that was named
  std::vector<std::string> words(arguments.begin(), arguments.end());
  std::ranges::reverse(words);  // CLI11 takes them last word first
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return {false, app.exit(error), {}};
  }
  if (options->parsed()) {
    Print(markdown ? OptionSupportMarkdown() : OptionSupportText());
  } else if (devices->parsed()) {
    Print(markdown ? DeviceSupportMarkdown() : DeviceSupportText());
  } else if (completion->parsed()) {
    Print(CompletionScript(shell));
  } else if (help->parsed()) {
    Print(overview + "\nQEMU's options: nandu -help\n");
  } else if (version->parsed()) {
    Print(VersionText());
  }
  return {};
}

}  // namespace nandu
