// Numbers and sizes as QEMU's command line writes them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace nandu {

// "512", "4k", "1.5G": bytes. A bare number is multiplied by `unit` (-m counts in MiB). Suffixes b k M G T P
// E, powers of 1024.
Result<uint64_t> ParseSize(std::string_view text, uint64_t unit = 1);

// A plain decimal number within [low, high].
Result<unsigned> ParseNumber(std::string_view text, unsigned low, unsigned high);

// on, off, yes, no, true, false, y, n.
Result<bool> ParseSwitch(std::string_view text);

}  // namespace nandu
