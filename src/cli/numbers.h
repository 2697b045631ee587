// base/number_text.h with sentences for people.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace nandu {

// "512", "4k", "1.5G": bytes; a number without a suffix is multiplied by `plain_unit`.
Result<uint64_t> SizeFrom(std::string_view text, uint64_t plain_unit = 1);

// A plain decimal number within [low, high].
Result<unsigned> NumberFrom(std::string_view text, unsigned low, unsigned high);

// on, off, yes, no, true, false, y, n.
Result<bool> SwitchFrom(std::string_view text);

}  // namespace nandu
