// Base64 (RFC 4648, section 4, with padding): bytes inside JSON. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nandu {

std::string EncodeBase64(std::span<const std::byte> bytes);
std::optional<std::vector<std::byte>> DecodeBase64(
    std::string_view text);  // strict: canonical padding, nothing else between

}  // namespace nandu
