// A kernel file from anywhere: it is refused with a sentence or lands inside the guest's memory. The first
// byte says what it is given as: kernel (bzImage or ELF) alone, or kernel and initrd.
#include <cstdint>
#include <vector>

#include "boot/guest_image.h"
#include "kernel_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  auto file = nandu::BootFile::FromFd(nandu::FileOf({data + 1, size - 1}), "fuzz");
  if (!file) {
    return 0;
  }
  const nandu::BootFile initrd = *nandu::BootFile::FromFd(nandu::FileOf({data, size}), "initrd");
  const auto image = nandu::OpenGuestImage(std::move(*file));
  if (!image) {
    return 0;
  }
  const nandu::ImageInput input{.command_line = "console=ttyS0",
                                .initrd = (data[0] & 1) != 0 ? &initrd : nullptr,
                                .memory = {.low_ram_bytes = nandu::kKernelRam},
                                .acpi_bytes = 128 * 1024};
  static_cast<void>((*image)->Load(nandu::KernelMemory(), input));
  return 0;
}
