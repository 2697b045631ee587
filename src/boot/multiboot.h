// A multiboot (version 1) kernel: an ELF file, or any file whose header says where it belongs. Started in
// 32-bit protected mode with paging off. What the kernel finds, and where, is what it finds on QEMU.
// Specification: Multiboot 0.6.96. Control thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "boot/elf_file.h"
#include "boot/guest_image.h"
#include "boot/multiboot_wire.h"

namespace nandu {

// Where in a file its header stands, and what it says.
struct FoundMultibootHeader {
  uint64_t offset = 0;
  wire::MultibootHeader header;
};
// Null: this is no multiboot kernel. A bzImage is none, whatever its bytes hold.
Result<std::optional<FoundMultibootHeader>> FindMultibootHeader(const BootFile& file);

// -initrd of a multiboot kernel: "FILE ARGUMENTS,FILE ARGUMENTS"; ",," is a comma.
struct MultibootModuleSpec {
  std::string path;
  std::string text;  // with the path, as the kernel is given it
};
std::vector<MultibootModuleSpec> SplitMultibootModules(std::string_view initrd);

class MultibootImage final : public GuestImage {
 public:
  static Result<std::unique_ptr<GuestImage>> Open(BootFile file, const FoundMultibootHeader& found);

  Result<ImagePlacement> Place(const ImageInput& input) const override;
  Result<CpuEntry> Load(const GuestMemory& memory, const ImageInput& input) const override;

 private:
  struct Places;
  MultibootImage(BootFile file, std::vector<ElfSegment> segments, uint32_t entry);
  Result<Places> Arrange(const ImageInput& input) const;
  Result<> WriteInfo(const GuestMemory& memory, const ImageInput& input, const Places& places) const;

  const BootFile file_;
  const std::vector<ElfSegment> segments_;
  const uint32_t entry_;
};

}  // namespace nandu
