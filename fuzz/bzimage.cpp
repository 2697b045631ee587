// A kernel file from anywhere: it is refused with a sentence or lands inside the guest's memory. The first
// byte says what it is given as: kernel (bzImage or ELF) alone, or kernel and initrd.
#include <cstdint>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "boot/guest_image.h"
#include "memory/ram_block.h"

namespace {

constexpr uint64_t kRam = 32 << 20;

nandu::UniqueFd FileOf(const uint8_t* data, size_t size) {
  nandu::UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  return ::write(fd.get(), data, size) == static_cast<ssize_t>(size) ? std::move(fd) : nandu::UniqueFd();
}

const nandu::GuestMemory& Memory() {
  static const auto memory = std::make_unique<nandu::GuestMemory>(std::vector<nandu::RamRange>{
      {0, kRam, nandu::RamBlock::CreateAnonymous("ram", kRam, nandu::RamBlock::Options{}).value(), 0,
       false}});
  return *memory;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  auto file = nandu::BootFile::FromFd(FileOf(data + 1, size - 1), "fuzz");
  if (!file) {
    return 0;
  }
  const nandu::BootFile initrd = *nandu::BootFile::FromFd(FileOf(data, size), "initrd");
  const auto image = nandu::OpenGuestImage(std::move(*file));
  if (!image) {
    return 0;
  }
  const nandu::ImageInput input{.command_line = "console=ttyS0",
                                .initrd = (data[0] & 1) != 0 ? &initrd : nullptr,
                                .memory = {.low_ram_bytes = kRam},
                                .acpi_bytes = 128 * 1024};
  static_cast<void>((*image)->Load(Memory(), input));
  return 0;
}
