// A file that is put into guest memory beside what boots (-device loader): an ELF file by its program
// headers, any other file as it is. Control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "boot/boot_file.h"
#include "boot/elf_file.h"
#include "memory/guest_memory.h"

namespace nandu {

class MemoryImage {
 public:
  enum class Format : uint8_t { kByContent, kRaw };

  // `address`: where a file that is no ELF file goes. Fails with a sentence for a damaged ELF file, and for
  // kinds of files that QEMU unpacks and nandu does not (uImage, Intel HEX).
  static Result<MemoryImage> Open(BootFile file, uint64_t address, Format format);

  // Where an ELF file starts (a physical address); null for other files.
  const std::optional<uint64_t>& entry() const { return entry_; }
  // Whether a byte of one lies where a byte of the other does.
  bool Overlaps(const MemoryImage& other) const;
  // Fails with a sentence where it does not fit the guest's RAM; writes nothing.
  Result<> Check(const GuestMemory& memory) const;
  Result<> Write(const GuestMemory& memory) const;

 private:
  MemoryImage(BootFile file, std::vector<ElfSegment> segments, std::optional<uint64_t> entry)
      : file_(std::move(file)), segments_(std::move(segments)), entry_(entry) {}

  BootFile file_;
  std::vector<ElfSegment> segments_;
  std::optional<uint64_t> entry_;
};

}  // namespace nandu
