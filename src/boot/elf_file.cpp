#include "boot/elf_file.h"

#include <array>
#include <cstring>
#include <elf.h>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr uint64_t kMostMemoryBytes = uint64_t{1} << 40;

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
};

template <class Program>
Result<> TakeProgram(const BootFile& file, const Program& program, unsigned number, ElfFile* elf) {
  uint64_t file_end = 0;
  if (AddOverflows<uint64_t>(program.p_offset, program.p_filesz, &file_end) || file_end > file.size()) {
    return Fail(Errc::kCorrupt, "{}: is truncated: segment {} lies outside the file", file.name(), number);
  }
  if (program.p_type == PT_NOTE) {
    elf->notes.push_back({program.p_offset, program.p_filesz});
  }
  if (program.p_type != PT_LOAD || program.p_memsz == 0) {
    return {};
  }
  uint64_t memory_end = 0;
  if (program.p_filesz > program.p_memsz || program.p_memsz > kMostMemoryBytes ||
      AddOverflows<uint64_t>(program.p_paddr, program.p_memsz, &memory_end)) {
    return Fail(Errc::kCorrupt, "{}: segment {} has impossible sizes; the file is damaged", file.name(),
                number);
  }
  elf->segments.push_back({.physical = program.p_paddr,
                           .virtual_base = program.p_vaddr,
                           .memory_bytes = program.p_memsz,
                           .file_offset = program.p_offset,
                           .file_bytes = program.p_filesz,
                           .executable = (program.p_flags & PF_X) != 0});
  return {};
}

template <class Elf>
Result<ElfFile> Read(const BootFile& file) {
  typename Elf::Header header = {};
  TRY(file.Read(0, &header, sizeof(header)));
  if (header.e_phentsize != sizeof(typename Elf::Program) || header.e_phnum == 0 ||
      header.e_phnum == PN_XNUM) {
    return Fail(Errc::kInvalidArgument, "{}: is an ELF file that cannot be loaded (no program headers)",
                file.name());
  }
  ElfFile elf;
  elf.machine = header.e_machine;
  elf.entry = header.e_entry;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    uint64_t at = 0;
    if (AddOverflows<uint64_t>(header.e_phoff, uint64_t{i} * sizeof(typename Elf::Program), &at)) {
      return Fail(Errc::kCorrupt, "{}: its program headers lie outside the file", file.name());
    }
    typename Elf::Program program = {};
    TRY(file.Read(at, &program, sizeof(program)));
    TRY(TakeProgram(file, program, i, &elf));
  }
  return elf;
}

}  // namespace

Result<bool> IsElf(const BootFile& file) {
  if (file.size() < kElfMagicBytes) {
    return false;
  }
  std::array<char, kElfMagicBytes> magic = {};
  TRY(file.Read(0, magic.data(), magic.size()));
  return std::memcmp(magic.data(), ELFMAG, magic.size()) == 0;
}

Result<ElfFile> ReadElf(const BootFile& file) {
  std::array<unsigned char, EI_NIDENT> ident = {};
  TRY(file.Read(0, ident.data(), ident.size()));
  if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64) {
    return Fail(Errc::kCorrupt, "{}: is a damaged ELF file (class {})", file.name(), ident[EI_CLASS]);
  }
  if (ident[EI_DATA] != ELFDATA2LSB) {
    return Fail(Errc::kUnsupported, "{}: is an ELF image for another architecture", file.name());
  }
  const bool is_64 = ident[EI_CLASS] == ELFCLASS64;
  ElfFile elf = TRY(is_64 ? Read<Elf64>(file) : Read<Elf32>(file));
  elf.is_64 = is_64;
  return elf;
}

uint64_t PhysicalEntry(const ElfFile& elf) {
  for (const ElfSegment& segment : elf.segments) {
    if (segment.executable && elf.entry >= segment.virtual_base &&
        elf.entry - segment.virtual_base < segment.file_bytes) {
      return elf.entry - segment.virtual_base + segment.physical;
    }
  }
  return elf.entry;
}

Result<> WriteElfSegment(const GuestMemory& memory, const BootFile& file, const ElfSegment& segment) {
  if (segment.file_bytes != 0) {
    TRY(file.ReadIntoGuest(memory, Gpa{segment.physical}, segment.file_offset, segment.file_bytes));
  }
  // What the guest left there before a reset must not pass for its zeroed data.
  std::vector<iovec> rest;
  const uint64_t zeroes = segment.memory_bytes - segment.file_bytes;
  const Gpa at{segment.physical + segment.file_bytes};
  if (zeroes != 0 && !memory.ToIovecs(at, zeroes, Access::kWrite, &rest)) {
    return Fail(Errc::kNoMemory, "{}: {} bytes at {:#x} do not fit the guest's RAM", file.name(), zeroes,
                at.v);
  }
  for (const iovec& piece : rest) {
    std::memset(piece.iov_base, 0, piece.iov_len);
  }
  memory.MarkDirty(at, zeroes);
  return {};
}

}  // namespace nandu
