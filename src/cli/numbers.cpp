#include "cli/numbers.h"

#include <charconv>

#include "base/number_text.h"

namespace nandu {

Result<uint64_t> SizeFrom(std::string_view text, uint64_t plain_unit) {
  if (const auto size = ParseSize(text, plain_unit)) {
    return *size;
  }
  return Fail(Errc::kInvalidArgument,
              "'{}' is no size; write bytes, or a number with a suffix such as 512M or 4G", text);
}

Result<unsigned> NumberFrom(std::string_view text, unsigned low, unsigned high) {
  unsigned number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < low || number > high) {
    return Fail(Errc::kInvalidArgument, "'{}' is no number from {} to {}", text, low, high);
  }
  return number;
}

Result<bool> SwitchFrom(std::string_view text) {
  if (const auto on = ParseSwitch(text)) {
    return *on;
  }
  return Fail(Errc::kInvalidArgument, "'{}' is neither on nor off", text);
}

}  // namespace nandu
