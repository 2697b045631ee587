// Image formats told by their first bytes. A raw image whose format nobody named is guessed by them; a guest
// must not be able to change the guess.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace nandu {

inline constexpr size_t kProbeBytes = 512;

// "qcow2", "vmdk" ...; "raw" when nothing is recognised.
std::string_view GuessFormat(std::span<const std::byte> first_bytes);

}  // namespace nandu
