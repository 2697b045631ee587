#include "boot/pvh.h"

#include <algorithm>
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

Result<std::optional<uint32_t>> FindEntry(const BootFile& file, const ElfFile& elf) {
  for (const ElfNotes& place : elf.notes) {
    std::vector<uint8_t> notes(std::min<uint64_t>(place.bytes, kMostNoteBytes));
    TRY(file.Read(place.file_offset, notes.data(), notes.size()));
    if (const std::optional<uint32_t> entry = FindEntryNote(notes)) {
      return entry;
    }
  }
  return std::optional<uint32_t>();
}

}  // namespace

PvhImage::PvhImage(BootFile file, std::vector<ElfSegment> segments, uint32_t entry)
    : file_(std::move(file)), segments_(std::move(segments)), entry_(entry) {}

Result<std::unique_ptr<GuestImage>> PvhImage::Open(BootFile file) {
  ElfFile elf = TRY(ReadElf(file));
  if (elf.machine != (elf.is_64 ? EM_X86_64 : EM_386)) {
    return Fail(Errc::kUnsupported, "{}: is an ELF image for another architecture", file.name());
  }
  const std::optional<uint32_t> found = TRY(FindEntry(file, elf));
  if (!found) {
    return Fail(Errc::kUnsupported,
                "{}: is an ELF image without a PVH entry note; build the kernel with CONFIG_PVH=y or give "
                "its bzImage",
                file.name());
  }
  const uint64_t entry = *found;
  const bool inside =
      std::any_of(elf.segments.begin(), elf.segments.end(), [entry](const ElfSegment& segment) {
        return entry >= segment.physical && entry - segment.physical < segment.memory_bytes;
      });
  if (!inside) {
    return Fail(Errc::kCorrupt, "{}: its PVH entry point {:#x} lies in none of its segments", file.name(),
                entry);
  }
  return std::unique_ptr<GuestImage>(new PvhImage(std::move(file), std::move(elf.segments), *found));
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
  for (const ElfSegment& segment : segments_) {
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
  for (const ElfSegment& segment : segments_) {
    TRY(WriteElfSegment(memory, file_, segment));
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
