// A Linux kernel as firmware's option ROM loads it from fw_cfg (linuxboot_dma.bin): the real-mode part with
// its header filled in, and where each piece belongs. Linux, Documentation/arch/x86/boot.rst. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "boot/boot_file.h"
#include "boot/boot_plan.h"

namespace nandu {

struct LinuxItems {
  std::shared_ptr<const BootFile> kernel;
  std::shared_ptr<const BootFile> initrd;  // null: none
  std::vector<uint8_t> setup;              // the real-mode part
  uint64_t kernel_offset = 0;              // in the file, of what follows it
  uint64_t kernel_bytes = 0;
  uint32_t initrd_address = 0;
  std::vector<uint8_t> command_line;  // with its zero

  static constexpr uint32_t kSetupAddress = 0x10000;
  static constexpr uint32_t kCommandLineAddress = 0x20000;
  static constexpr uint32_t kKernelAddress = 0x100000;

  // Fails for what is no bzImage, and when the initrd does not fit below the end of low memory.
  static Result<LinuxItems> Make(BootFile kernel, std::optional<BootFile> initrd,
                                 const std::string& command_line, const MemoryLayout& memory);
};

}  // namespace nandu
