// A multiboot kernel from anywhere: it is refused with a sentence or lands inside the guest's memory. The
// first byte says how many modules it gets, the second where in the file its header stands; magic and
// checksum are made right, which chance would not.
#include "boot/multiboot.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "memory/ram_block.h"

namespace {

constexpr uint64_t kRam = 32 << 20;
constexpr size_t kPrefix = 2;

nandu::UniqueFd FileOf(const std::vector<uint8_t>& bytes) {
  nandu::UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  return ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())
             ? std::move(fd)
             : nandu::UniqueFd();
}

const nandu::GuestMemory& Memory() {
  static const auto memory = std::make_unique<nandu::GuestMemory>(std::vector<nandu::RamRange>{
      {0, kRam, nandu::RamBlock::CreateAnonymous("ram", kRam, nandu::RamBlock::Options{}).value(), 0,
       false}});
  return *memory;
}

void MakeHeader(std::vector<uint8_t>* bytes, size_t at) {
  nandu::wire::MultibootHeader header;
  if (at + sizeof(header) > bytes->size()) {
    return;
  }
  std::memcpy(&header, bytes->data() + at, sizeof(header));
  header.magic = nandu::wire::kMultibootMagic;
  header.checksum = 0U - header.magic - header.flags;
  std::memcpy(bytes->data() + at, &header, sizeof(header));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kPrefix) {
    return 0;
  }
  std::vector<uint8_t> bytes(data + kPrefix, data + size);
  MakeHeader(&bytes, size_t{data[1]} * 4);
  auto file = nandu::BootFile::FromFd(FileOf(bytes), "fuzz");
  if (!file) {
    return 0;
  }
  const auto image = nandu::OpenGuestImage(std::move(*file));
  if (!image) {
    return 0;
  }
  std::vector<nandu::BootModule> modules;
  for (unsigned i = 0; i < data[0] % 4U; ++i) {
    modules.push_back({*nandu::BootFile::FromFd(FileOf(bytes), "module"), "module with words"});
  }
  const nandu::ImageInput input{.command_line = "hello",
                                .initrd = nullptr,
                                .modules = modules,
                                .memory = {.low_ram_bytes = kRam},
                                .acpi_bytes = 128 * 1024};
  static_cast<void>((*image)->Load(Memory(), input));
  return 0;
}
