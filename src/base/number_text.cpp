#include "base/number_text.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace nandu {
namespace {

// The power of 1024 a suffix stands for, in bits.
std::optional<unsigned> ShiftOf(char suffix) {
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
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<uint64_t> ParseSize(std::string_view text, uint64_t plain_unit) {
  uint64_t whole = 0;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole, 16);
    if (error != std::errc() || end != text.data() + text.size()) {
      return std::nullopt;
    }
    return whole;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc()) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<size_t>(end - text.data()));

  // A fraction in parts of 10^digits; six digits name every byte of a MiB, and more would overflow.
  uint64_t fraction = 0;
  uint64_t parts = 1;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      if (digits == 6) {
        return std::nullopt;
      }
      fraction = fraction * 10 + static_cast<uint64_t>(text[digits] - '0');
      parts *= 10;
      ++digits;
    }
    if (digits == 0) {
      return std::nullopt;
    }
    text.remove_prefix(digits);
  }

  uint64_t unit = plain_unit;
  if (!text.empty()) {
    const std::optional<unsigned> shift = ShiftOf(text.front());
    if (!shift || text.size() > 1) {
      return std::nullopt;
    }
    unit = uint64_t{1} << *shift;
  } else if (parts != 1 && unit == 1) {
    return std::nullopt;  // half a byte
  }
  __extension__ using Wide = unsigned __int128;
  const Wide total = static_cast<Wide>(whole) * unit + static_cast<Wide>(fraction) * unit / parts;
  if (total > UINT64_MAX) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(total);
}

std::optional<int64_t> ParseSignedSize(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) {
    text.remove_prefix(1);
  }
  const std::optional<uint64_t> size = ParseSize(text);
  const uint64_t largest = uint64_t{INT64_MAX} + (negative ? 1 : 0);
  if (!size || *size > largest) {
    return std::nullopt;
  }
  return static_cast<int64_t>(negative ? 0 - *size : *size);
}

std::optional<bool> ParseSwitch(std::string_view text) {
  if (text == "on" || text == "yes" || text == "true" || text == "y") {
    return true;
  }
  if (text == "off" || text == "no" || text == "false" || text == "n") {
    return false;
  }
  return std::nullopt;
}

std::optional<double> ParseDouble(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace nandu
