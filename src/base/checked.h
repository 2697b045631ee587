// Casts and sums that cannot lose bits unseen.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/check.h"

namespace nandu {

// For values our own code has bounded already; aborts when the bound was wrong.
template <std::integral To, std::integral From>
constexpr To Narrow(From value) {
  NANDU_CHECK(std::in_range<To>(value), "a value was bounded before it was narrowed");
  return static_cast<To>(value);
}

// For values from outside: nullopt when it does not fit.
template <std::integral To, std::integral From>
constexpr std::optional<To> TryNarrow(From value) {
  if (!std::in_range<To>(value)) {
    return std::nullopt;
  }
  return static_cast<To>(value);
}

// True when a + b overflows; otherwise *sum holds it.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool AddOverflows(T a, T b, T* sum) {
  return __builtin_add_overflow(a, b, sum);
}

constexpr uint64_t AlignUp(uint64_t value, uint64_t power_of_two) {
  return (value + power_of_two - 1) & ~(power_of_two - 1);
}
constexpr uint64_t AlignDown(uint64_t value, uint64_t power_of_two) { return value & ~(power_of_two - 1); }
constexpr bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

}  // namespace nandu
