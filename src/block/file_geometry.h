// What an open file or device is like: its size, its blocks, and what O_DIRECT demands of offsets and
// addresses.
#pragma once

#include "base/result.h"
#include "block/file_backend.h"

namespace nandu {

// Fills size, block sizes and alignments of `file`, whose fd, path, block_device and direct are set. Blocks.
Result<> ReadGeometry(FileBackend& file);

}  // namespace nandu
