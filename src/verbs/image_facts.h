// An image somebody named without its format.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace nandu {

// "raw" or "qcow2". A guest can write a qcow2 header to its raw disk, with the name of any file of the host
// as its backing file: such a header counts only where the image's name ends in .qcow2, which no guest
// chooses. Other formats are refused with how to convert them. Blocks.
Result<std::string> ImageFormat(const std::string& path);

// The file's name without directories and suffix, of the characters a VM's name may have: "debian-12".
std::string NameFromImage(std::string_view path);

}  // namespace nandu
