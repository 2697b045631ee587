// Shell completion, made from what the commands and QEMU's options are parsed with. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace nandu {

// A command as the shell offers it.
struct CompletedVerb {
  std::string name;
  std::string text;                  // one line
  std::vector<std::string> options;  // "--cpus"
  bool takes_vm = false;             // its first word is a running VM's name, else a file
};

// For "bash", "zsh" or "fish"; empty for another shell.
std::string CompletionScript(const std::string& shell, std::span<const CompletedVerb> verbs);

}  // namespace nandu
