// Text formatting. fmt is compiled once, in format.cpp: everyone else sees its light core header only.
#pragma once

#include <fmt/core.h>

#include <string>

namespace nandu {

std::string FormatText(fmt::string_view text, fmt::format_args args);

template <class... Args>
[[nodiscard]] std::string Format(fmt::format_string<Args...> text, const Args&... args) {
  return FormatText(text, fmt::make_format_args(args...));
}

}  // namespace nandu
