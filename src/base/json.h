// JSON text in and out: Boost.JSON behind two functions. Any thread.
//
// Parsing is for hostile input (RFC 8259, strict): duplicate keys, text after the value, and anything past
// the limits are refused with a sentence. Writing uses the spacing of QEMU's monitor (", " and ": "), escapes
// everything outside printable ASCII and replaces what is not UTF-8 by U+FFFD, so that a line is always valid
// JSON.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nandu {

struct JsonLimits {
  size_t max_bytes = size_t{10} << 20;  // of text
  size_t max_depth = 64;                // of nested arrays and objects
  size_t max_values =
      size_t{1}
      << 20;  // values in the text, however deep: a value costs more than the two bytes it is written in
};

Result<boost::json::value> ParseJson(std::string_view text, const JsonLimits& limits = {});

std::string JsonText(const boost::json::value& value);
std::string PrettyJsonText(
    const boost::json::value& value);  // four spaces a level, for people and golden files

}  // namespace nandu
