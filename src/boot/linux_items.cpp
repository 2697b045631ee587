#include "boot/linux_items.h"

#include <algorithm>
#include <asm/bootparam.h>
#include <cstddef>
#include <cstring>

#include "base/checked.h"
#include "boot/layout.h"

namespace nandu {

namespace {

constexpr uint64_t kHeaderOffset = offsetof(boot_params, hdr);
constexpr uint64_t kSectorBytes = 512;
constexpr uint8_t kDefaultSetupSectors = 4;
constexpr uint16_t kOldestVersion = 0x0203;  // of the boot protocol: initrd_addr_max is there
constexpr uint16_t kAboveFourGiBVersion = 0x020c;
constexpr uint8_t kLoaderType = 0xb0;  // boot.rst: QEMU's
constexpr uint8_t kCanUseHeap = 0x80;
constexpr uint64_t kFirmwareBytes = 0x28000;  // at the end of low memory: firmware's tables

}  // namespace

Result<LinuxItems> LinuxItems::Make(BootFile kernel, std::optional<BootFile> initrd,
                                    const std::string& command_line, const MemoryLayout& memory) {
  setup_header header = {};
  if (kernel.size() < kHeaderOffset + sizeof(header)) {
    return Fail(Errc::kInvalidArgument, "{}: is no Linux kernel: it has {} bytes only", kernel.name(),
                kernel.size());
  }
  TRY(kernel.Read(kHeaderOffset, &header, sizeof(header)));
  constexpr uint32_t kMagic = 0x53726448;  // "HdrS"
  if (header.header != kMagic || header.version < kOldestVersion || (header.loadflags & LOADED_HIGH) == 0) {
    return Fail(Errc::kUnsupported,
                "{}: is no bzImage; firmware's option ROM loads nothing else: leave -bios and pflash out to "
                "boot it without firmware",
                kernel.name());
  }
  LinuxItems items;
  const uint64_t sectors = header.setup_sects == 0 ? kDefaultSetupSectors : header.setup_sects;
  items.kernel_offset = (sectors + 1) * kSectorBytes;
  if (items.kernel_offset >= kernel.size()) {
    return Fail(Errc::kCorrupt, "{}: is truncated: its header speaks of {} bytes before the kernel",
                kernel.name(), items.kernel_offset);
  }
  items.kernel_bytes = kernel.size() - items.kernel_offset;
  items.command_line.assign(command_line.begin(), command_line.end());
  items.command_line.push_back(0);

  header.type_of_loader = kLoaderType;
  header.loadflags |= kCanUseHeap;
  header.heap_end_ptr = static_cast<uint16_t>(kCommandLineAddress - kSetupAddress - 0x200);
  header.cmd_line_ptr = kCommandLineAddress;
  if (initrd) {
    uint64_t highest = header.initrd_addr_max;
    if (header.version >= kAboveFourGiBVersion && (header.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) != 0) {
      highest = UINT32_MAX;
    }
    const uint64_t end =
        std::min(highest, memory.low_ram_bytes - std::min(memory.low_ram_bytes, kFirmwareBytes) - 1);
    if (initrd->size() == 0 || initrd->size() >= end) {
      return Fail(Errc::kNoMemory,
                  "{}: the initrd of {} KiB does not fit below {:#x}; give the guest more memory with -m",
                  initrd->name(), initrd->size() >> 10, end);
    }
    items.initrd_address = Narrow<uint32_t>(AlignDown(end - initrd->size(), 4096));
    header.ramdisk_image = items.initrd_address;
    header.ramdisk_size = Narrow<uint32_t>(initrd->size());
    items.initrd = std::make_shared<const BootFile>(std::move(*initrd));
  }
  items.setup.resize(items.kernel_offset);
  TRY(kernel.Read(0, items.setup.data(), items.setup.size()));
  std::memcpy(items.setup.data() + kHeaderOffset, &header, sizeof(header));
  items.kernel = std::make_shared<const BootFile>(std::move(kernel));
  return items;
}

}  // namespace nandu
