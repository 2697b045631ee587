// An ELF kernel with Xen's PHYS32_ENTRY note: Linux's vmlinux, BSD kernels, unikernels. Started in 32-bit
// protected mode with paging off. Specification: Xen, docs/misc/pvh.pandoc; ELF: System V ABI, chapters 4
// and 5. Control thread.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "boot/guest_image.h"

namespace nandu {

inline constexpr size_t kElfMagicBytes = 4;

class PvhImage final : public GuestImage {
 public:
  static Result<std::unique_ptr<GuestImage>> Open(BootFile file);

  Result<ImagePlacement> Place(const ImageInput& input) const override;
  Result<CpuEntry> Load(const GuestMemory& memory, const ImageInput& input) const override;

  struct Segment {
    uint64_t physical = 0;
    uint64_t memory_bytes = 0;
    uint64_t file_offset = 0;
    uint64_t file_bytes = 0;  // the rest of memory_bytes is zero
  };

 private:
  PvhImage(BootFile file, std::vector<Segment> segments, uint32_t entry);

  const BootFile file_;
  const std::vector<Segment> segments_;
  const uint32_t entry_;  // physical address from the note
};

}  // namespace nandu
