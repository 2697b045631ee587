#include "verbs/completion.h"

#include <algorithm>

#include "base/format.h"
#include "cli/option_table.h"

namespace nandu {
namespace {

constexpr std::string_view kRunningVms = "nandu ps 2> /dev/null | awk 'NR > 1 { print $1 }'";

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

std::vector<std::string> WorkingOptions() {
  std::vector<std::string> words;
  for (const OptionSpec& option : OptionTable()) {
    if (option.handling == Handling::kWorks) {
      words.push_back(Format("-{}", option.name));
    }
  }
  return words;
}

// What may stand within quotes of the shell's description lists.
std::string Plain(std::string_view text) {
  std::string plain(text);
  std::erase_if(plain, [](char c) { return c == '\'' || c == '[' || c == ']'; });
  std::ranges::replace(plain, ':', ';');
  return plain;
}

std::string NamesOfThoseWithVms(std::span<const CompletedVerb> verbs, std::string_view between) {
  std::string names;
  for (const CompletedVerb& verb : verbs) {
    if (verb.takes_vm) {
      names += (names.empty() ? "" : std::string(between)) + verb.name;
    }
  }
  return names;
}

std::string ForBash(std::span<const CompletedVerb> verbs) {
  std::string names;
  std::string cases;
  for (const CompletedVerb& verb : verbs) {
    names += (names.empty() ? "" : " ") + verb.name;
    if (!verb.options.empty()) {
      cases += Format("    {}) options='{}' ;;\n", verb.name, Joined(verb.options));
    }
  }
  return Format(
      "# bash completion for nandu\n"
      "_nandu() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}} options='{}'\n"
      "  case $verb in\n{}  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
      "  elif [[ $COMP_CWORD -eq 1 ]]; then\n"
      "    COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n"
      "  elif [[ $COMP_CWORD -eq 2 && $verb == @({}) ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$({})\" -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "  fi\n"
      "}}\n"
      "complete -o filenames -F _nandu nandu\n",
      Joined(WorkingOptions()), cases, names, NamesOfThoseWithVms(verbs, "|"), kRunningVms);
}

std::string ForZsh(std::span<const CompletedVerb> verbs) {
  std::string commands;
  std::string cases;
  for (const CompletedVerb& verb : verbs) {
    commands += Format("  '{}:{}'\n", verb.name, Plain(verb.text));
    const std::string first = verb.takes_vm ? "compadd -- $(" + std::string(kRunningVms) + ")" : "_files";
    cases += Format("  {}) if [[ $PREFIX == -* ]]; then compadd -- {}; else {}; fi ;;\n", verb.name,
                    Joined(verb.options), first);
  }
  std::string options;
  for (const OptionSpec& option : OptionTable()) {
    if (option.handling == Handling::kWorks && !option.text.empty()) {
      options += Format("  '-{}[{}]{}'\n", option.name, Plain(option.text),
                        option.takes_value ? ":value:_files" : "");
    }
  }
  return Format(
      "#compdef nandu\nlocal -a commands=(\n{})\nlocal -a options=(\n{})\n"
      "if [[ $CURRENT -eq 2 && $PREFIX != -* ]]; then _describe command commands; return; fi\n"
      "case $words[2] in\n{}  *) _arguments $options ;;\nesac\n",
      commands, options, cases);
}

std::string ForFish(std::span<const CompletedVerb> verbs) {
  std::string script;
  for (const CompletedVerb& verb : verbs) {
    script +=
        Format("complete -c nandu -n __fish_use_subcommand -a {} -d '{}'\n", verb.name, Plain(verb.text));
    for (const std::string& option : verb.options) {
      if (option.starts_with("--")) {
        script += Format("complete -c nandu -n '__fish_seen_subcommand_from {}' -l {}\n", verb.name,
                         option.substr(2));
      }
    }
  }
  script += Format("complete -c nandu -n '__fish_seen_subcommand_from {}' -f -a \"({})\"\n",
                   NamesOfThoseWithVms(verbs, " "), "nandu ps 2> /dev/null | awk 'NR > 1 { print \\$1 }'");
  for (const OptionSpec& option : OptionTable()) {
    if (option.handling == Handling::kWorks) {
      script += Format("complete -c nandu -n __fish_use_subcommand -o {} {}-d '{}'\n", option.name,
                       option.takes_value ? "-r " : "", Plain(option.text));
    }
  }
  return script;
}

}  // namespace

std::string CompletionScript(const std::string& shell, std::span<const CompletedVerb> verbs) {
  if (shell == "bash") {
    return ForBash(verbs);
  }
  if (shell == "zsh") {
    return ForZsh(verbs);
  }
  return shell == "fish" ? ForFish(verbs) : std::string();
}

}  // namespace nandu
