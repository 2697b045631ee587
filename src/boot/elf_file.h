// What an ELF executable says of itself, checked once: its segments lie inside the file and inside the
// address space. Specification: System V ABI, chapters 4 and 5. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "boot/boot_file.h"
#include "memory/guest_memory.h"

namespace nandu {

struct ElfSegment {
  uint64_t physical = 0;
  uint64_t virtual_base = 0;
  uint64_t memory_bytes = 0;  // not 0
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;  // the rest of memory_bytes is zero
  bool executable = false;
};

struct ElfNotes {  // a PT_NOTE segment, inside the file
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
};

struct ElfFile {
  bool is_64 = false;
  uint16_t machine = 0;  // EM_...
  uint64_t entry = 0;    // as in the header: a virtual address
  std::vector<ElfSegment> segments;
  std::vector<ElfNotes> notes;
};

inline constexpr size_t kElfMagicBytes = 4;

// Whether the file begins as an ELF file does; one shorter than that does not.
Result<bool> IsElf(const BootFile& file);
// Fails with a sentence for a file that is damaged, big-endian, or no executable.
Result<ElfFile> ReadElf(const BootFile& file);
// The physical address of the entry point: where it lies, as a virtual address, in an executable segment that
// is loaded elsewhere, its address there.
uint64_t PhysicalEntry(const ElfFile& elf);
// One segment and its zeroes. Fails where it does not fit the guest's RAM.
Result<> WriteElfSegment(const GuestMemory& memory, const BootFile& file, const ElfSegment& segment);

}  // namespace nandu
