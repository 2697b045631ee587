// A Linux bzImage, started at its 64-bit entry. Specification: Linux, Documentation/arch/x86/boot.rst.
// Control thread.
#pragma once

#include <asm/bootparam.h>
#include <memory>

#include "boot/guest_image.h"

namespace nandu {

class BzImage final : public GuestImage {
 public:
  static Result<std::unique_ptr<GuestImage>> Open(BootFile file);

  Result<ImagePlacement> Place(const ImageInput& input) const override;
  Result<CpuEntry> Load(const GuestMemory& memory, const ImageInput& input) const override;

 private:
  BzImage(BootFile file, const setup_header& header, uint64_t kernel_offset);
  boot_params MakeBootParams(const ImageInput& input, const ImagePlacement& placement) const;

  const BootFile file_;
  const setup_header header_;     // as in the file; fields its protocol version does not have are zero
  const uint64_t kernel_offset_;  // of the protected-mode kernel in the file
};

}  // namespace nandu
