// UUIDs as bytes. Pure functions, any thread. RFC 4122, section 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nandu {

using Uuid = std::array<uint8_t, 16>;

// "00112233-4455-6677-8899-aabbccddeeff", in either case, as sixteen bytes in the order they are written.
inline std::optional<Uuid> ParseUuid(std::string_view text) {
  constexpr size_t kCharacters = 36;
  Uuid bytes = {};
  size_t nibble = 0;
  for (size_t i = 0; i < text.size() && text.size() == kCharacters; i++) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') {
        return std::nullopt;
      }
      continue;
    }
    const char lower = static_cast<char>(c | 0x20);
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (lower < 'a' || lower > 'f')) {
      return std::nullopt;
    }
    const int value = digit ? c - '0' : lower - 'a' + 10;
    bytes[nibble / 2] = static_cast<uint8_t>(bytes[nibble / 2] << 4 | value);
    nibble++;
  }
  return text.size() == kCharacters ? std::optional(bytes) : std::nullopt;
}

// As Microsoft's GUIDs lie in memory: the first three fields are little-endian.
inline Uuid ToGuid(const Uuid& uuid) {
  return {uuid[3], uuid[2], uuid[1],  uuid[0],  uuid[5],  uuid[4],  uuid[7],  uuid[6],
          uuid[8], uuid[9], uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]};
}

// The other way round, in lower case.
inline std::string UuidText(const Uuid& uuid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < uuid.size(); i++) {
    text += i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
    text += kDigits[uuid[i] >> 4];
    text += kDigits[uuid[i] & 15];
  }
  return text;
}

}  // namespace nandu
