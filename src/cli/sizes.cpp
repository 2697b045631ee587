#include "cli/sizes.h"

#include <charconv>
#include <cmath>

namespace nandu {
namespace {

// The power of two of a suffix; -1: no suffix of ours.
int ShiftOf(char suffix) {
  switch (suffix) {
    case 'b':
    case 'B': return 0;
    case 'k':
    case 'K': return 10;
    case 'm':
    case 'M': return 20;
    case 'g':
    case 'G': return 30;
    case 't':
    case 'T': return 40;
    case 'p':
    case 'P': return 50;
    case 'e':
    case 'E': return 60;
    default: return -1;
  }
}

}  // namespace

Result<uint64_t> ParseSize(std::string_view text, uint64_t unit) {
  const auto bad = [text] {
    return Fail(Errc::kInvalidArgument,
                "'{}' is no size; write bytes, or a number with a suffix such as 512M or 4G", text);
  };
  std::string_view digits = text;
  if (!text.empty()) {
    if (const int shift = ShiftOf(text.back()); shift >= 0) {
      unit = uint64_t{1} << shift;
      digits.remove_suffix(1);
    }
  }
  const char* const end = digits.data() + digits.size();
  uint64_t whole = 0;
  auto parsed = std::from_chars(digits.data(), end, whole);
  if (parsed.ec != std::errc() || digits.empty()) {
    return bad();
  }
  double fraction = 0;
  if (parsed.ptr != end) {
    const char* const dot = parsed.ptr;
    parsed = std::from_chars(dot, end, fraction, std::chars_format::fixed);
    if (*dot != '.' || parsed.ec != std::errc() || parsed.ptr != end) {
      return bad();
    }
  }
  uint64_t bytes = 0;
  const auto part = static_cast<uint64_t>(std::llround(fraction * static_cast<double>(unit)));
  if (__builtin_mul_overflow(whole, unit, &bytes) || __builtin_add_overflow(bytes, part, &bytes)) {
    return Fail(Errc::kInvalidArgument, "'{}' does not fit 64 bits", text);
  }
  return bytes;
}

Result<unsigned> ParseNumber(std::string_view text, unsigned low, unsigned high) {
  unsigned number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < low || number > high) {
    return Fail(Errc::kInvalidArgument, "'{}' is no number from {} to {}", text, low, high);
  }
  return number;
}

Result<bool> ParseSwitch(std::string_view text) {
  if (text == "on" || text == "yes" || text == "true" || text == "y") {
    return true;
  }
  if (text == "off" || text == "no" || text == "false" || text == "n") {
    return false;
  }
  return Fail(Errc::kInvalidArgument, "'{}' is neither on nor off", text);
}

}  // namespace nandu
