// What every kind of kernel image answers: which memory it needs and how it is put there. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "boot/boot_file.h"
#include "boot/boot_plan.h"
#include "boot/layout.h"
#include "memory/guest_memory.h"

namespace nandu {

// Where the pieces of one boot go, settled before anything is written.
struct ImagePlacement {
  uint64_t kernel_base = 0;  // first byte the kernel uses
  uint64_t kernel_end = 0;   // one past the last, its own heap included
  uint64_t initrd_base = 0;  // 0: none
  uint64_t initrd_bytes = 0;
};

// A file that a multiboot kernel gets, and the text that goes with it.
struct BootModule {
  BootFile file;
  std::string text;
};

struct ImageInput {
  std::string command_line;
  const BootFile* initrd = nullptr;          // null: none
  std::span<const BootModule> modules = {};  // of a multiboot kernel, which has no initrd
  MemoryLayout memory;
  uint64_t acpi_bytes = 0;  // the ACPI tables' share at the end of low RAM
};

class GuestImage {
 public:
  GuestImage() = default;
  GuestImage(const GuestImage&) = delete;
  GuestImage& operator=(const GuestImage&) = delete;
  virtual ~GuestImage() = default;

  // Fails with a sentence when the image, the command line or the initrd do not fit; writes nothing.
  virtual Result<ImagePlacement> Place(const ImageInput& input) const = 0;
  // Writes everything and answers how the first vCPU starts. Reads the files again.
  virtual Result<CpuEntry> Load(const GuestMemory& memory, const ImageInput& input) const = 0;
};

// Tells bzImage, multiboot and PVH kernels apart and checks their headers.
Result<std::unique_ptr<GuestImage>> OpenGuestImage(BootFile file);

// The initrd's place: as high as possible, page-aligned, at most at `highest` and below the ACPI tables,
// above the kernel.
Result<> PlaceInitrd(const ImageInput& input, uint64_t highest, ImagePlacement* placement);

// Flat code and data descriptors at layout::kGdt: 64-bit code for kLong64, 32-bit for kProtected32; data
// follows code.
Result<> WriteGdt(const GuestMemory& memory, CpuEntry::Mode mode, CpuEntry* entry,
                  uint16_t code_selector = layout::kCodeSelector);
// Maps the low 4 GiB onto themselves with 2 MiB pages at layout::kPageTables.
Result<> WriteIdentityMap(const GuestMemory& memory, CpuEntry* entry);
// The command line and its terminating zero at layout::kCommandLine.
Result<> WriteCommandLine(const GuestMemory& memory, const std::string& text);

}  // namespace nandu
