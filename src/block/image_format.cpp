#include "block/image_format.h"

#include <cstring>

namespace nandu {
namespace {

struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view format;
};

// The signatures in the formats' specifications.
constexpr Magic kMagics[] = {
    {0, {"QFI\xfb", 4}, "qcow2"},
    {0, {"QED\0", 4}, "qed"},
    {0, "KDMV", "vmdk"},
    {0, "COWD", "vmdk"},
    {0, "# Disk DescriptorFile", "vmdk"},
    {0, "conectix", "vpc"},
    {0, "vhdxfile", "vhdx"},
    {64, {"\x7f\x10\xda\xbe", 4}, "vdi"},
    {0, {"LUKS\xba\xbe", 6}, "luks"},
    {0, "WithoutFreeSpace", "parallels"},
    {0, "WithouFreSpacExt", "parallels"},
    {0, "Bochs Virtual HD Image", "bochs"},
    {0, "#!/bin/sh\n#V2.0 Format\n", "cloop"},
};

}  // namespace

std::string_view GuessFormat(std::span<const std::byte> first_bytes) {
  for (const Magic& magic : kMagics) {
    if (first_bytes.size() >= magic.offset + magic.bytes.size() &&
        std::memcmp(first_bytes.data() + magic.offset, magic.bytes.data(), magic.bytes.size()) == 0) {
      return magic.format;
    }
  }
  return "raw";
}

}  // namespace nandu
