#include "boot/multiboot.h"

#include <algorithm>
#include <cstring>
#include <elf.h>

#include "base/checked.h"
#include "base/log.h"
#include "boot/e820.h"
#include "boot/layout.h"

namespace nandu {
namespace {

using wire::MultibootHeader;
using wire::MultibootInfo;

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kHeaderAlignment = 4;
constexpr uint64_t kSearchBytes = 8192;  // 3.1: the header lies within them
// Of the header that a kernel without addresses has.
constexpr uint64_t kShortHeaderBytes = 3 * sizeof(uint32_t);
constexpr uint64_t kLinuxMagicOffset = 0x202;
constexpr char kLinuxMagic[] = {'H', 'd', 'r', 'S'};

// What QEMU says: the first partition of nothing, on the first hard disk.
constexpr uint32_t kBootDevice = 0x8000ffff;
constexpr std::string_view kLoaderName =
    "qemu";  // the name that kernels know, as with the loader type of Linux

Result<> CheckAddresses(const BootFile& file, const FoundMultibootHeader& found) {
  const MultibootHeader& header = found.header;
  const auto bad = [&file](std::string_view field, uint32_t value) -> Result<> {
    return Fail(Errc::kCorrupt, "{}: its multiboot header is wrong: {} cannot be {:#x}", file.name(), field,
                value);
  };
  if (header.header_addr < header.load_addr) {
    return bad("load_addr", header.load_addr);
  }
  if (header.header_addr - header.load_addr > found.offset) {
    return bad("header_addr", header.header_addr);
  }
  if (header.load_end_addr != 0 && header.load_end_addr < header.load_addr) {
    return bad("load_end_addr", header.load_end_addr);
  }
  return {};
}

// 3.1.3: text and data from load_addr to load_end_addr, zeroes up to bss_end_addr.
Result<ElfSegment> FlatSegment(const BootFile& file, const FoundMultibootHeader& found) {
  TRY(CheckAddresses(file, found));
  const MultibootHeader& header = found.header;
  ElfSegment segment;
  segment.physical = header.load_addr;
  segment.file_offset = found.offset - (header.header_addr - header.load_addr);
  segment.file_bytes =
      header.load_end_addr != 0 ? header.load_end_addr - header.load_addr : file.size() - segment.file_offset;
  if (segment.file_bytes > file.size() - segment.file_offset) {
    return Fail(Errc::kCorrupt, "{}: is truncated: its multiboot header asks for {} bytes, {} are there",
                file.name(), segment.file_bytes, file.size() - segment.file_offset);
  }
  const uint64_t end = segment.physical + segment.file_bytes;
  if (header.bss_end_addr != 0 && header.bss_end_addr < end) {
    return Fail(Errc::kCorrupt, "{}: its multiboot header is wrong: bss_end_addr cannot be {:#x}",
                file.name(), header.bss_end_addr);
  }
  segment.memory_bytes = std::max<uint64_t>(end, header.bss_end_addr) - segment.physical;
  return segment;
}

bool IsMultibootHeader(const MultibootHeader& header) {
  return header.magic == wire::kMultibootMagic && header.magic + header.flags + header.checksum == 0;
}

uint64_t UsableLowMemory(const ImageInput& input) {
  return input.memory.low_ram_bytes > input.acpi_bytes ? input.memory.low_ram_bytes - input.acpi_bytes : 0;
}

// Where a kernel may be loaded: what is written before it starts lies below and in the BIOS area.
bool IsFree(uint64_t base, uint64_t end) {
  return base >= layout::kMultibootEnd &&
         (end <= layout::kConventionalEnd || base >= layout::kMultibootBiosEnd);
}

}  // namespace

// What the kernel is given behind its own memory: the list of modules, then every string, then the modules,
// each on a page of its own.
struct MultibootImage::Places {
  uint64_t kernel_base = 0;
  uint64_t list = 0;
  uint64_t strings = 0;
  std::vector<uint64_t> modules;
  uint64_t end = 0;
  std::string command_line;
};

Result<std::optional<FoundMultibootHeader>> FindMultibootHeader(const BootFile& file) {
  std::vector<uint8_t> bytes(std::min(file.size(), kSearchBytes));
  TRY(file.Read(0, bytes.data(), bytes.size()));
  if (bytes.size() >= kLinuxMagicOffset + sizeof(kLinuxMagic) &&
      std::memcmp(bytes.data() + kLinuxMagicOffset, kLinuxMagic, sizeof(kLinuxMagic)) == 0) {
    return std::optional<FoundMultibootHeader>();
  }
  for (uint64_t at = 0; at + kShortHeaderBytes <= bytes.size(); at += kHeaderAlignment) {
    FoundMultibootHeader found;
    found.offset = at;
    std::memcpy(&found.header, bytes.data() + at, std::min(sizeof(found.header), bytes.size() - at));
    const bool whole = at + sizeof(found.header) <= bytes.size();
    if (IsMultibootHeader(found.header) &&
        (whole || (found.header.flags & MultibootHeader::kAddresses) == 0)) {
      return std::optional(found);
    }
  }
  return std::optional<FoundMultibootHeader>();
}

std::vector<MultibootModuleSpec> SplitMultibootModules(std::string_view initrd) {
  std::vector<MultibootModuleSpec> modules;
  while (!initrd.empty()) {
    std::string text;
    size_t at = 0;
    for (; at < initrd.size(); ++at) {
      const bool comma = initrd[at] == ',';
      if (comma && initrd.substr(at + 1).starts_with(',')) {
        ++at;
      } else if (comma) {
        break;
      }
      text += initrd[at];
    }
    initrd.remove_prefix(std::min(at + 1, initrd.size()));
    modules.push_back({text.substr(0, text.find(' ')), text});
  }
  return modules;
}

MultibootImage::MultibootImage(BootFile file, std::vector<ElfSegment> segments, uint32_t entry)
    : file_(std::move(file)), segments_(std::move(segments)), entry_(entry) {}

Result<std::unique_ptr<GuestImage>> MultibootImage::Open(BootFile file, const FoundMultibootHeader& found) {
  std::vector<ElfSegment> segments;
  uint64_t entry = found.header.entry_addr;
  if ((found.header.flags & MultibootHeader::kAddresses) != 0) {
    segments.push_back(TRY(FlatSegment(file, found)));
  } else {
    if (!TRY(IsElf(file))) {
      return Fail(Errc::kUnsupported,
                  "{}: its multiboot header names no addresses, so it must be an ELF file, and it is none",
                  file.name());
    }
    ElfFile elf = TRY(ReadElf(file));
    if (elf.is_64 || elf.machine != EM_386) {
      return Fail(
          Errc::kUnsupported,
          "{}: is no 32-bit x86 ELF file, and multiboot kernels start in 32-bit mode; make it one with "
          "objcopy -O elf32-i386, or give its header addresses (flag 16)",
          file.name());
    }
    entry = PhysicalEntry(elf);
    segments = std::move(elf.segments);
  }
  const bool inside = std::ranges::any_of(segments, [entry](const ElfSegment& segment) {
    return entry >= segment.physical && entry - segment.physical < segment.memory_bytes;
  });
  if (!inside) {
    return Fail(Errc::kCorrupt, "{}: its entry point {:#x} lies in nothing that is loaded", file.name(),
                entry);
  }
  if ((found.header.flags & MultibootHeader::kVideo) != 0) {
    Log(LogLevel::kWarning, "{}: the kernel asks its boot loader for a video mode; it gets none, as on QEMU",
        file.name());
  }
  return std::unique_ptr<GuestImage>(
      new MultibootImage(std::move(file), std::move(segments), static_cast<uint32_t>(entry)));
}

Result<MultibootImage::Places> MultibootImage::Arrange(const ImageInput& input) const {
  Places out;
  out.kernel_base = UINT64_MAX;
  uint64_t end = 0;
  for (const ElfSegment& segment : segments_) {
    if (!IsFree(segment.physical, segment.physical + segment.memory_bytes)) {
      return Fail(
          Errc::kUnsupported,
          "{}: a part of it loads at {:#x}; a multiboot kernel must keep clear of the memory below {:#x} "
          "and of {:#x} to {:#x}",
          file_.name(), segment.physical, layout::kMultibootEnd, layout::kConventionalEnd,
          layout::kMultibootBiosEnd);
    }
    out.kernel_base = std::min(out.kernel_base, segment.physical);
    end = std::max(end, segment.physical + segment.memory_bytes);
  }
  // 3.3, cmdline: its format is the loader's; kernels expect their file's name first.
  out.command_line = file_.name() + " " + input.command_line;
  out.list = AlignUp(end, kPageBytes);
  out.strings = out.list + input.modules.size() * sizeof(wire::MultibootModule);
  end = out.strings + out.command_line.size() + 1 + kLoaderName.size() + 1;
  for (const BootModule& module : input.modules) {
    end += module.text.size() + 1;
  }
  for (const BootModule& module : input.modules) {
    out.modules.push_back(AlignUp(end, kPageBytes));
    end = out.modules.back() + module.file.size();
  }
  out.end = end;
  return out;
}

Result<ImagePlacement> MultibootImage::Place(const ImageInput& input) const {
  const Places places = TRY(Arrange(input));
  const uint64_t usable = UsableLowMemory(input);
  if (places.end > usable) {
    return Fail(
        Errc::kNoMemory,
        "{}: the kernel with its modules needs {} MiB of memory below 4 GiB to start, the guest has {} "
        "MiB; give it more with -m",
        file_.name(), (places.end + 0xfffff) >> 20, usable >> 20);
  }
  if (!IsFree(places.list, places.end)) {
    return Fail(Errc::kUnsupported,
                "{}: is loaded below 1 MiB, and its modules, which follow it, do not fit there; link it to 1 "
                "MiB or higher",
                file_.name());
  }
  return ImagePlacement{.kernel_base = places.kernel_base, .kernel_end = places.end};
}

Result<> MultibootImage::WriteInfo(const GuestMemory& memory, const ImageInput& input,
                                   const Places& places) const {
  bool stored = true;
  uint64_t next = places.strings;
  const auto put = [&](std::string_view text) {
    const uint64_t at = next;
    stored = stored && memory.Write(Gpa{at}, text.data(), text.size()) &&
             memory.Store(Gpa{at + text.size()}, uint8_t{0});
    next += text.size() + 1;
    return static_cast<uint32_t>(at);
  };
  for (size_t i = 0; i < input.modules.size(); ++i) {
    const uint64_t start = places.modules[i];
    const wire::MultibootModule module{.start = static_cast<uint32_t>(start),
                                       .end = static_cast<uint32_t>(start + input.modules[i].file.size()),
                                       .string = put(input.modules[i].text)};
    stored = stored && memory.Store(Gpa{places.list + i * sizeof(module)}, module);
  }
  MultibootInfo info;
  info.flags = MultibootInfo::kMemory | MultibootInfo::kBootDevice | MultibootInfo::kCommandLine |
               MultibootInfo::kModules | MultibootInfo::kMemoryMap | MultibootInfo::kBootLoaderName;
  info.mem_lower = static_cast<uint32_t>(layout::kConventionalEnd >> 10);
  info.mem_upper =
      static_cast<uint32_t>((std::max(UsableLowMemory(input), layout::kOneMiB) - layout::kOneMiB) >> 10);
  info.boot_device = kBootDevice;
  info.cmdline = put(places.command_line);
  info.boot_loader_name = put(kLoaderName);
  info.mods_count = static_cast<uint32_t>(input.modules.size());
  info.mods_addr = static_cast<uint32_t>(places.list);
  info.mmap_addr = static_cast<uint32_t>(layout::kMultibootMemoryMap);
  for (const E820Entry& entry : BuildE820(input.memory, input.acpi_bytes)) {
    const wire::MultibootMapEntry to{
        .base = {static_cast<uint32_t>(entry.base), static_cast<uint32_t>(entry.base >> 32)},
        .length = {static_cast<uint32_t>(entry.size), static_cast<uint32_t>(entry.size >> 32)},
        .type = static_cast<uint32_t>(entry.type)};
    stored = stored && memory.Store(Gpa{layout::kMultibootMemoryMap + info.mmap_length}, to);
    info.mmap_length += static_cast<uint32_t>(sizeof(to));
  }
  if (!stored || !memory.Store(Gpa{layout::kMultibootInfo}, info)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for the kernel's start information",
                layout::kMultibootInfo);
  }
  return {};
}

Result<CpuEntry> MultibootImage::Load(const GuestMemory& memory, const ImageInput& input) const {
  TRY(Place(input));
  const Places places = TRY(Arrange(input));
  for (const ElfSegment& segment : segments_) {
    TRY(WriteElfSegment(memory, file_, segment));
  }
  for (size_t i = 0; i < input.modules.size(); ++i) {
    const BootFile& file = input.modules[i].file;
    TRY(file.ReadIntoGuest(memory, Gpa{places.modules[i]}, 0, file.size()));
  }
  TRY(WriteInfo(memory, input, places));

  // 3.2: eax = the magic, ebx = the information, protected mode, paging off, A20 on, flat segments.
  CpuEntry entry;
  entry.mode = CpuEntry::Mode::kProtected32;
  entry.rip = entry_;
  entry.rax = wire::kMultibootLoaderMagic;
  entry.rbx = layout::kMultibootInfo;
  TRY(WriteGdt(memory, entry.mode, &entry, layout::kMultibootCodeSelector));
  return entry;
}

}  // namespace nandu
