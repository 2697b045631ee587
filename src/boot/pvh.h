// An ELF kernel with Xen's PHYS32_ENTRY note: Linux's vmlinux, BSD kernels, unikernels. Started in 32-bit
// protected mode with paging off. Specification: Xen, docs/misc/pvh.pandoc; ELF: System V ABI, chapters 4
// and 5. Control thread.
#pragma once

#include <memory>
#include <vector>

#include "boot/elf_file.h"
#include "boot/guest_image.h"

namespace nandu {

class PvhImage final : public GuestImage {
 public:
  static Result<std::unique_ptr<GuestImage>> Open(BootFile file);

  Result<ImagePlacement> Place(const ImageInput& input) const override;
  Result<CpuEntry> Load(const GuestMemory& memory, const ImageInput& input) const override;

 private:
  PvhImage(BootFile file, std::vector<ElfSegment> segments, uint32_t entry);

  const BootFile file_;
  const std::vector<ElfSegment> segments_;
  const uint32_t entry_;  // physical address from the note
};

}  // namespace nandu
