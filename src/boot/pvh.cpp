#include "boot/pvh.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <elf.h>
#include <optional>

#include "base/checked.h"
#include "boot/e820.h"
#include "boot/layout.h"
#include "boot/pvh_wire.h"

namespace nandu {
namespace {

constexpr uint32_t kNotePhys32Entry = 18;  // Xen, public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY
constexpr char kNoteOwner[] = "Xen";
constexpr uint64_t kMostNoteBytes = 64 * 1024;
constexpr uint64_t kMostMemoryBytes = uint64_t{1} << 40;

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
  static constexpr uint16_t kMachine = EM_386;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
  static constexpr uint16_t kMachine = EM_X86_64;
};

struct Parsed {
  std::vector<PvhImage::Segment> segments;
  std::optional<uint32_t> entry;
};

// Walks one PT_NOTE segment. A malformed note ends the walk: it is then an image without the note.
std::optional<uint32_t> FindEntryNote(const std::vector<uint8_t>& notes) {
  size_t at = 0;
  while (notes.size() - at >= sizeof(Elf32_Nhdr)) {
    Elf32_Nhdr note = {};
    std::memcpy(&note, notes.data() + at, sizeof(note));
    at += sizeof(note);
    const uint64_t name_bytes = AlignUp(note.n_namesz, 4);
    const uint64_t body_bytes = AlignUp(note.n_descsz, 4);
    if (name_bytes + body_bytes > notes.size() - at) {
      return std::nullopt;
    }
    const uint8_t* name = notes.data() + at;
    const uint8_t* body = name + name_bytes;
    if (note.n_type == kNotePhys32Entry && note.n_namesz == sizeof(kNoteOwner) &&
        std::memcmp(name, kNoteOwner, sizeof(kNoteOwner)) == 0 && note.n_descsz >= sizeof(uint32_t)) {
      uint32_t entry = 0;
      std::memcpy(&entry, body, sizeof(entry));
      return entry;
    }
    at += name_bytes + body_bytes;
  }
  return std::nullopt;
}

template <class Elf>
Result<Parsed> Parse(const BootFile& file) {
  typename Elf::Header header = {};
  TRY(file.Read(0, &header, sizeof(header)));
  if (header.e_machine != Elf::kMachine || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Fail(Errc::kUnsupported, "{}: is an ELF image for another architecture", file.name());
  }
  if (header.e_phentsize != sizeof(typename Elf::Program) || header.e_phnum == 0 ||
      header.e_phnum == PN_XNUM) {
    return Fail(Errc::kInvalidArgument, "{}: is an ELF file that cannot be loaded (no program headers)",
                file.name());
  }
  Parsed parsed;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    uint64_t at = 0;
    if (AddOverflows<uint64_t>(header.e_phoff, uint64_t{i} * sizeof(typename Elf::Program), &at)) {
      return Fail(Errc::kCorrupt, "{}: its program headers lie outside the file", file.name());
    }
    typename Elf::Program program = {};
    TRY(file.Read(at, &program, sizeof(program)));
    uint64_t file_end = 0;
    if (AddOverflows<uint64_t>(program.p_offset, program.p_filesz, &file_end) || file_end > file.size()) {
      return Fail(Errc::kCorrupt, "{}: is truncated: segment {} lies outside the file", file.name(), i);
    }
    if (program.p_type == PT_LOAD && program.p_memsz != 0) {
      uint64_t memory_end = 0;
      if (program.p_filesz > program.p_memsz || program.p_memsz > kMostMemoryBytes ||
          AddOverflows<uint64_t>(program.p_paddr, program.p_memsz, &memory_end)) {
        return Fail(Errc::kCorrupt, "{}: segment {} has impossible sizes; the file is damaged", file.name(),
                    i);
      }
      parsed.segments.push_back({program.p_paddr, program.p_memsz, program.p_offset, program.p_filesz});
    } else if (program.p_type == PT_NOTE && !parsed.entry) {
      std::vector<uint8_t> notes(std::min<uint64_t>(program.p_filesz, kMostNoteBytes));
      TRY(file.Read(program.p_offset, notes.data(), notes.size()));
      parsed.entry = FindEntryNote(notes);
    }
  }
  return parsed;
}

}  // namespace

PvhImage::PvhImage(BootFile file, std::vector<Segment> segments, uint32_t entry)
    : file_(std::move(file)), segments_(std::move(segments)), entry_(entry) {}

Result<std::unique_ptr<GuestImage>> PvhImage::Open(BootFile file) {
  std::array<unsigned char, EI_NIDENT> ident = {};
  TRY(file.Read(0, ident.data(), ident.size()));
  if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64) {
    return Fail(Errc::kCorrupt, "{}: is a damaged ELF file (class {})", file.name(), ident[EI_CLASS]);
  }
  Parsed parsed = TRY(ident[EI_CLASS] == ELFCLASS64 ? Parse<Elf64>(file) : Parse<Elf32>(file));
  if (!parsed.entry) {
    return Fail(Errc::kUnsupported,
                "{}: is an ELF image without a PVH entry note; build the kernel with CONFIG_PVH=y or give "
                "its bzImage",
                file.name());
  }
  const uint64_t entry = *parsed.entry;
  const bool inside =
      std::any_of(parsed.segments.begin(), parsed.segments.end(), [entry](const Segment& segment) {
        return entry >= segment.physical && entry - segment.physical < segment.memory_bytes;
      });
  if (!inside) {
    return Fail(Errc::kCorrupt, "{}: its PVH entry point {:#x} lies in none of its segments", file.name(),
                entry);
  }
  return std::unique_ptr<GuestImage>(
      new PvhImage(std::move(file), std::move(parsed.segments), *parsed.entry));
}

Result<ImagePlacement> PvhImage::Place(const ImageInput& input) const {
  constexpr uint64_t kMostCharacters = layout::kCommandLineEnd - layout::kCommandLine - 1;
  if (input.command_line.size() > kMostCharacters) {
    return Fail(Errc::kInvalidArgument,
                "{}: the kernel command line (-append) has {} characters; {} are possible", file_.name(),
                input.command_line.size(), kMostCharacters);
  }
  const uint64_t usable =
      input.memory.low_ram_bytes > input.acpi_bytes ? input.memory.low_ram_bytes - input.acpi_bytes : 0;
  ImagePlacement placement;
  placement.kernel_base = UINT64_MAX;
  for (const Segment& segment : segments_) {
    // Below 1 MiB lie the page of start information and the BIOS area.
    if (segment.physical < layout::kOneMiB) {
      return Fail(Errc::kUnsupported, "{}: a segment loads at {:#x}; PVH images must load at 1 MiB or higher",
                  file_.name(), segment.physical);
    }
    placement.kernel_base = std::min(placement.kernel_base, segment.physical);
    placement.kernel_end = std::max(placement.kernel_end, segment.physical + segment.memory_bytes);
  }
  if (placement.kernel_end > usable) {
    return Fail(Errc::kNoMemory,
                "{}: the kernel needs {} MiB of memory below 4 GiB to start, the guest has {} MiB; give it "
                "more with -m",
                file_.name(), (placement.kernel_end + 0xfffff) >> 20, usable >> 20);
  }
  if (input.initrd != nullptr) {
    TRY(PlaceInitrd(input, layout::kFourGiB - 1, &placement));
  }
  return placement;
}

Result<CpuEntry> PvhImage::Load(const GuestMemory& memory, const ImageInput& input) const {
  const ImagePlacement placement = TRY(Place(input));
  for (const Segment& segment : segments_) {
    if (segment.file_bytes != 0) {
      TRY(file_.ReadIntoGuest(memory, Gpa{segment.physical}, segment.file_offset, segment.file_bytes));
    }
    // What the guest left there before a reset must not pass for its zeroed data.
    std::vector<iovec> rest;
    const uint64_t zeroes = segment.memory_bytes - segment.file_bytes;
    const Gpa at{segment.physical + segment.file_bytes};
    if (zeroes != 0 && !memory.ToIovecs(at, zeroes, Access::kWrite, &rest)) {
      return Fail(Errc::kNoMemory, "{}: {} bytes at {:#x} do not fit the guest's RAM", file_.name(), zeroes,
                  at.v);
    }
    for (const iovec& piece : rest) {
      std::memset(piece.iov_base, 0, piece.iov_len);
    }
    memory.MarkDirty(at, zeroes);
  }
  TRY(WriteCommandLine(memory, input.command_line));

  wire::HvmStartInfo info;
  bool stored = true;
  if (input.initrd != nullptr) {
    TRY(input.initrd->ReadIntoGuest(memory, Gpa{placement.initrd_base}, 0, placement.initrd_bytes));
    const wire::HvmModule module{.base = placement.initrd_base, .size = placement.initrd_bytes};
    stored = memory.Store(Gpa{layout::kPvhModules}, module);
    info.module_count = 1;
    info.module_list = layout::kPvhModules;
  }
  for (const E820Entry& entry : BuildE820(input.memory, input.acpi_bytes)) {
    const wire::HvmMemoryMapEntry to{
        .base = entry.base, .size = entry.size, .type = static_cast<uint32_t>(entry.type)};
    stored = stored && memory.Store(Gpa{layout::kPvhMemoryMap + info.memory_map_entries * sizeof(to)}, to);
    info.memory_map_entries++;
  }
  info.command_line = layout::kCommandLine;
  info.rsdp = layout::kRsdp;
  info.memory_map = layout::kPvhMemoryMap;
  if (!stored || !memory.Store(Gpa{layout::kPvhStartInfo}, info)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for the kernel's start information",
                layout::kPvhStartInfo);
  }

  // pvh.pandoc: protected mode, paging off, flat segments, ebx = the start info.
  CpuEntry entry;
  entry.mode = CpuEntry::Mode::kProtected32;
  entry.rip = entry_;
  entry.rsp = layout::kStackTop;
  entry.rbx = layout::kPvhStartInfo;
  TRY(WriteGdt(memory, entry.mode, &entry));
  return entry;
}

}  // namespace nandu
