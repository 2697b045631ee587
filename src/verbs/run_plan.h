// From `nandu run`'s options to QEMU-style words. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "verbs/options.h"

namespace nandu {

// What lies around the VM; empty: it has none.
struct RunPlaces {
  std::string monitor;         // socket of its QMP monitor
  std::string console_socket;  // of its serial console; empty: the terminal
  std::string pid_file;
  std::string seed;            // the image WriteSeed made
  std::string uefi_variables;  // its own copy of the variable store
};

// `image_format` and each of `disk_formats` (as many as there are disks): "raw" or "qcow2".
Result<std::vector<std::string>> PlanRun(const RunOptions& options, const std::string& image_format,
                                         const std::vector<std::string>& disk_formats,
                                         const RunPlaces& places);

// OVMF's code, and the empty variable store that is copied, as Debian's package ovmf has them.
inline constexpr const char* kUefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
inline constexpr const char* kUefiVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

// What a VM has where nobody says: two processors, or what the host has.
unsigned UsualCpus();

// The words as a line for a shell.
std::string ShellLine(const std::vector<std::string>& words);

}  // namespace nandu
