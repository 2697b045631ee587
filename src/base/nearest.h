// "did you mean": the known word closest to what somebody typed.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace nandu {

// The candidate with the smallest edit distance, case ignored; empty when none is close enough to be a slip
// of the keyboard.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates);

// " (did you mean 'drive'?)" or "" - to end an error sentence with.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace nandu
