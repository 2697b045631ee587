// Where firmware images and option ROMs are found: at the path given, else by name in the directories of -L,
// else where the distribution keeps them. Control thread, while the machine is built.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "boot/boot_file.h"
#include "sandbox/opener.h"

namespace nandu {

class FirmwareFiles {
 public:
  FirmwareFiles(Opener& opener, std::vector<std::string> directories)
      : opener_(opener), directories_(std::move(directories)) {}

  // The first that is there and readable. The error names the file and says where it was looked for.
  Result<BootFile> Find(const std::string& name) const;
  Result<std::vector<uint8_t>> Read(const std::string& name) const;  // all of it; 64 MiB at most

  // Of Debian's packages qemu-system-data, seabios and ipxe-qemu.
  static std::span<const std::string_view> DistributionDirectories();

 private:
  Opener& opener_;
  const std::vector<std::string> directories_;
};

}  // namespace nandu
