// Numbers as people write them on a command line. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nandu {

// "4096", "0x1000", "4k", "1.5G", "10T": powers of 1024, either case, a plain B allowed. `plain_unit`
// multiplies a number without a suffix
// (-m counts in MiB). Nothing when it is none, is not whole, or does not fit.
std::optional<uint64_t> ParseSize(std::string_view text, uint64_t plain_unit = 1);

// The same with a minus sign in front.
std::optional<int64_t> ParseSignedSize(std::string_view text);

// "on", "yes", "true", "y" and their opposites, in lower case.
std::optional<bool> ParseSwitch(std::string_view text);

// "1.5", "-2e3"; finite.
std::optional<double> ParseDouble(std::string_view text);

}  // namespace nandu
