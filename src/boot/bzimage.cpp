#include "boot/bzimage.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <sys/random.h>

#include "base/checked.h"
#include "boot/e820.h"
#include "boot/layout.h"

namespace nandu {
namespace {

// boot.rst, "The Real-Mode Kernel Header".
constexpr uint64_t kHeaderOffset = 0x1f1;
constexpr uint64_t kJumpOffset = 0x201;  // its second byte holds the header's length beyond 0x202
constexpr uint16_t kBootFlag = 0xaa55;
constexpr uint32_t kHeaderMagic = 0x53726448;  // "HdrS"
constexpr uint16_t kProtocol64Bit = 0x020c;    // 2.12 brought xloadflags
constexpr uint16_t kProtocolRsdp = 0x020e;     // 2.14 brought acpi_rsdp_addr
constexpr uint64_t kSectorBytes = 512;
constexpr uint64_t kEntry64 = 0x200;  // "64-bit BOOT PROTOCOL": the entry point is the load address + 0x200
constexpr uint8_t kDefaultSetupSectors = 4;  // setup_sects 0 means 4
// Loader type 0xb0 is what a guest sees on QEMU (/proc/sys/kernel/bootloader_type); nandu has no number of
// its own.
constexpr uint8_t kLoaderType = 0xb0;
constexpr uint64_t kLowestKernel = 0x100000;
constexpr uint32_t kSeedBytes = 32;

struct SeedNode {  // struct setup_data with its payload
  uint64_t next = 0;
  uint32_t type = SETUP_RNG_SEED;
  uint32_t length = kSeedBytes;
  std::array<std::byte, kSeedBytes> seed = {};
};
static_assert(sizeof(SeedNode) == 16 + kSeedBytes);

// Fresh randomness for the guest's pool at each boot; a guest without it merely gathers its own.
Result<> WriteSeed(const GuestMemory& memory) {
  SeedNode node;
  if (::getrandom(node.seed.data(), node.seed.size(), GRND_NONBLOCK) != static_cast<ssize_t>(kSeedBytes)) {
    node.type = SETUP_NONE;
  }
  if (!memory.Store(Gpa{layout::kSetupData}, node)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for boot data", layout::kSetupData);
  }
  return {};
}

}  // namespace

BzImage::BzImage(BootFile file, const setup_header& header, uint64_t kernel_offset)
    : file_(std::move(file)), header_(header), kernel_offset_(kernel_offset) {}

Result<std::unique_ptr<GuestImage>> BzImage::Open(BootFile file) {
  const std::string& name = file.name();
  std::array<uint8_t, kHeaderOffset + sizeof(setup_header)> start = {};
  const uint64_t there = std::min<uint64_t>(start.size(), file.size());
  TRY(file.Read(0, start.data(), there));
  setup_header header = {};
  std::memcpy(&header, start.data() + kHeaderOffset, sizeof(header));
  if (header.boot_flag != kBootFlag || header.header != kHeaderMagic) {
    return Fail(Errc::kInvalidArgument, "{}: not a Linux kernel (bzImage), nor a multiboot or PVH ELF image", name);
  }
  // Bytes beyond the header's own length are code, not fields.
  const uint64_t header_end = kJumpOffset + 1 + start[kJumpOffset];
  const uint64_t known = std::clamp<uint64_t>(header_end, kHeaderOffset, start.size()) - kHeaderOffset;
  std::memset(reinterpret_cast<uint8_t*>(&header) + known, 0, sizeof(header) - known);

  if (header.version < kProtocol64Bit) {
    return Fail(Errc::kUnsupported,
                "{}: its boot protocol {}.{:02} is too old; 2.12 (Linux 3.8) or later is needed", name,
                header.version >> 8, header.version & 0xff);
  }
  if ((header.loadflags & LOADED_HIGH) == 0) {
    return Fail(Errc::kUnsupported, "{}: is a zImage, which loads low; build a bzImage", name);
  }
  if ((header.xloadflags & XLF_KERNEL_64) == 0) {
    return Fail(Errc::kUnsupported, "{}: is a 32-bit kernel; only x86-64 kernels can be booted with -kernel",
                name);
  }
  const uint64_t setup_sectors = header.setup_sects == 0 ? kDefaultSetupSectors : header.setup_sects;
  const uint64_t kernel_offset = (setup_sectors + 1) * kSectorBytes;
  const uint64_t kernel_bytes = uint64_t{header.syssize} * 16;
  if (kernel_bytes <= kEntry64) {
    return Fail(Errc::kCorrupt, "{}: its header says that the kernel has {} bytes; the file is damaged", name,
                kernel_bytes);
  }
  // The last 16-byte paragraph need not be complete.
  if (file.size() < kernel_offset || file.size() - kernel_offset + 15 < kernel_bytes) {
    return Fail(Errc::kCorrupt, "{}: is truncated: it has {} of {} bytes", name, file.size(),
                kernel_offset + kernel_bytes);
  }
  if (!IsPowerOfTwo(header.kernel_alignment)) {
    return Fail(Errc::kCorrupt, "{}: its header asks for an alignment of {:#x}; the file is damaged", name,
                uint32_t{header.kernel_alignment});
  }
  return std::unique_ptr<GuestImage>(new BzImage(std::move(file), header, kernel_offset));
}

Result<ImagePlacement> BzImage::Place(const ImageInput& input) const {
  const uint64_t cmdline_limit =
      std::min<uint64_t>(header_.cmdline_size, layout::kCommandLineEnd - layout::kCommandLine - 1);
  if (input.command_line.size() > cmdline_limit) {
    return Fail(Errc::kInvalidArgument,
                "{}: the kernel command line (-append) has {} characters; this kernel takes {} at most",
                file_.name(), input.command_line.size(), cmdline_limit);
  }
  ImagePlacement placement;
  // A relocatable kernel that is loaded below its preferred address moves itself up to it (boot.rst,
  // pref_address), so no other place needs less memory.
  placement.kernel_base = header_.pref_address;
  const uint64_t usable =
      input.memory.low_ram_bytes > input.acpi_bytes ? input.memory.low_ram_bytes - input.acpi_bytes : 0;
  const uint64_t file_bytes = file_.size() - kernel_offset_;
  const uint64_t needed = std::max<uint64_t>(header_.init_size, uint64_t{header_.syssize} * 16);
  if (placement.kernel_base < kLowestKernel || placement.kernel_base % header_.kernel_alignment != 0 ||
      AddOverflows(placement.kernel_base, std::max(needed, file_bytes), &placement.kernel_end)) {
    return Fail(Errc::kCorrupt, "{}: its header asks for {:#x} bytes at {:#x}; the file is damaged",
                file_.name(), needed, placement.kernel_base);
  }
  if (placement.kernel_end > usable) {
    return Fail(Errc::kNoMemory,
                "{}: the kernel needs {} MiB of memory below 4 GiB to start, the guest has {} MiB; give it "
                "more with -m",
                file_.name(), (placement.kernel_end + 0xfffff) >> 20, usable >> 20);
  }
  if (input.initrd != nullptr) {
    const bool anywhere = (header_.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) != 0;
    const uint64_t highest = anywhere ? layout::kFourGiB - 1 : uint64_t{header_.initrd_addr_max};
    TRY(PlaceInitrd(input, highest, &placement));
  }
  return placement;
}

boot_params BzImage::MakeBootParams(const ImageInput& input, const ImagePlacement& placement) const {
  boot_params params = {};
  params.hdr = header_;
  params.hdr.type_of_loader = kLoaderType;
  // boot.rst, code32_start: "the entry point"; the 64-bit entry needs it to be the load address.
  params.hdr.code32_start = static_cast<uint32_t>(placement.kernel_base);
  params.hdr.cmd_line_ptr = static_cast<uint32_t>(layout::kCommandLine);
  params.hdr.ramdisk_image = static_cast<uint32_t>(placement.initrd_base);
  params.hdr.ramdisk_size = static_cast<uint32_t>(placement.initrd_bytes);
  params.ext_ramdisk_size = static_cast<uint32_t>(placement.initrd_bytes >> 32);
  params.hdr.setup_data = layout::kSetupData;
  if (header_.version >= kProtocolRsdp) {
    params.acpi_rsdp_addr = layout::kRsdp;
  }
  uint8_t count = 0;
  for (const E820Entry& entry : BuildE820(input.memory, input.acpi_bytes)) {
    boot_e820_entry& to = params.e820_table[count++];
    to.addr = entry.base;
    to.size = entry.size;
    to.type = static_cast<uint32_t>(entry.type);
  }
  params.e820_entries = count;
  return params;
}

Result<CpuEntry> BzImage::Load(const GuestMemory& memory, const ImageInput& input) const {
  const ImagePlacement placement = TRY(Place(input));
  TRY(file_.ReadIntoGuest(memory, Gpa{placement.kernel_base}, kernel_offset_, file_.size() - kernel_offset_));
  if (input.initrd != nullptr) {
    TRY(input.initrd->ReadIntoGuest(memory, Gpa{placement.initrd_base}, 0, placement.initrd_bytes));
  }
  TRY(WriteCommandLine(memory, input.command_line));
  TRY(WriteSeed(memory));
  const boot_params params = MakeBootParams(input, placement);
  if (!memory.Store(Gpa{layout::kZeroPage}, params)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for the kernel's boot parameters",
                layout::kZeroPage);
  }
  // boot.rst, "64-bit BOOT PROTOCOL": paging on with an identity map, __BOOT_CS and __BOOT_DS flat,
  // interrupts off, rsi = boot_params.
  CpuEntry entry;
  entry.mode = CpuEntry::Mode::kLong64;
  entry.rip = placement.kernel_base + kEntry64;
  entry.rsp = layout::kStackTop;
  entry.rsi = layout::kZeroPage;
  TRY(WriteGdt(memory, entry.mode, &entry));
  TRY(WriteIdentityMap(memory, &entry));
  return entry;
}

}  // namespace nandu
