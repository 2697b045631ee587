#include "base/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace nandu {
namespace {

namespace json = boost::json;

// Builds a value and keeps the keys of each open object, so that the second of two equal keys is seen.
class Handler {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  explicit Handler(size_t max_values) : left_(max_values) {}

  json::value Release() { return stack_.release(); }
  const std::string& refusal() const { return refusal_; }

  bool on_document_begin(json::error_code&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) {
    keys_.emplace_back();
    return Count(error);
  }
  bool on_object_end(size_t members, json::error_code&) {
    keys_.pop_back();
    stack_.push_object(members);
    return true;
  }
  bool on_array_begin(json::error_code& error) { return Count(error); }
  bool on_array_end(size_t elements, json::error_code&) {
    stack_.push_array(elements);
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code& error) {
    key_.append(part.data(), part.size());
    stack_.push_key(part);
    const auto [at, fresh] = keys_.back().insert(std::move(key_));
    key_.clear();
    if (!fresh) {
      refusal_ = Format("duplicate key '{}'", at->substr(0, 64));
      error = json::make_error_code(json::error::syntax);
      return false;
    }
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, size_t, json::error_code& error) {
    stack_.push_string(part);
    return Count(error);
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(int64_t number, json::string_view, json::error_code& error) {
    number_.clear();
    stack_.push_int64(number);
    return Count(error);
  }
  bool on_uint64(uint64_t number, json::string_view, json::error_code& error) {
    number_.clear();
    stack_.push_uint64(number);
    return Count(error);
  }
  bool on_double(double number, json::string_view part, json::error_code& error) {
    // Boost.JSON 1.81 rounds long numbers wrongly, and a saved double must come back as it was.
    number_.append(part.data(), part.size());
    const auto [end, failure] = std::from_chars(number_.data(), number_.data() + number_.size(), number);
    const bool whole = failure == std::errc() && end == number_.data() + number_.size();
    number_.clear();
    if (!whole || !std::isfinite(number)) {
      refusal_ = "a number is too large or too small";
      error = json::make_error_code(json::error::syntax);
      return false;
    }
    stack_.push_double(number);
    return Count(error);
  }
  bool on_bool(bool value, json::error_code& error) {
    stack_.push_bool(value);
    return Count(error);
  }
  bool on_null(json::error_code& error) {
    stack_.push_null();
    return Count(error);
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool Count(json::error_code& error) {
    if (left_ == 0) {
      refusal_ = "too many values";
      error = json::make_error_code(json::error::syntax);
      return false;
    }
    --left_;
    return true;
  }

  json::value_stack stack_;
  std::vector<std::unordered_set<std::string>> keys_;
  std::string key_;
  std::string number_;
  std::string refusal_;
  size_t left_;
};

// The length of the UTF-8 sequence at `at` (RFC 3629: no overlong forms, no surrogates) and its code point,
// or 0 when there is none.
size_t DecodeUtf8(std::string_view text, size_t at, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t lead = byte(0);
  size_t length = 0;
  uint32_t smallest = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2, smallest = 0x80, *code = lead & 0x1fU;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3, smallest = 0x800, *code = lead & 0x0fU;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4, smallest = 0x10000, *code = lead & 0x07U;
  } else {
    return 0;
  }
  if (text.size() - at < length) {
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return 0;
    }
    *code = *code << 6 | (byte(i) & 0x3fU);
  }
  const bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
  return *code < smallest || *code > 0x10ffff || surrogate ? 0 : length;
}

void WriteCodeUnit(uint32_t unit, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += "\\u";
  for (const unsigned shift : {12U, 8U, 4U, 0U}) {
    *out += kHex[unit >> shift & 0xfU];
  }
}

void WriteString(std::string_view text, std::string* out) {
  *out += '"';
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<uint8_t>(text[at]);
    if (c >= 0x80) {
      uint32_t code = 0;
      const size_t length = DecodeUtf8(text, at, &code);
      if (length == 0) {
        WriteCodeUnit(0xfffd, out);
        ++at;
        continue;
      }
      if (code >= 0x10000) {
        WriteCodeUnit(0xd800 + ((code - 0x10000) >> 10), out);
        WriteCodeUnit(0xdc00 + ((code - 0x10000) & 0x3ff), out);
      } else {
        WriteCodeUnit(code, out);
      }
      at += length;
      continue;
    }
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\b': *out += "\\b"; break;
      case '\f': *out += "\\f"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      default:
        if (c < 0x20 || c == 0x7f) {
          WriteCodeUnit(c, out);
        } else {
          *out += static_cast<char>(c);
        }
    }
    ++at;
  }
  *out += '"';
}

template <class Number>
void WriteNumber(Number number, std::string* out) {
  char buffer[40];
  const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof buffer, number);
  out->append(buffer, end.ptr);
}

void WriteDouble(double number, std::string* out) {
  if (!std::isfinite(number)) {
    *out += "null";  // JSON has no other word for it
    return;
  }
  const size_t start = out->size();
  WriteNumber(number, out);
  if (out->find_first_of(".e", start) == std::string::npos) {
    *out += ".0";  // so that a double is read back as one
  }
}

class Writer {
 public:
  Writer(bool pretty, std::string* out) : pretty_(pretty), out_(out) {}

  void Write(const json::value& value) {
    switch (value.kind()) {
      case json::kind::null: *out_ += "null"; break;
      case json::kind::bool_: *out_ += value.get_bool() ? "true" : "false"; break;
      case json::kind::int64: WriteNumber(value.get_int64(), out_); break;
      case json::kind::uint64: WriteNumber(value.get_uint64(), out_); break;
      case json::kind::double_: WriteDouble(value.get_double(), out_); break;
      case json::kind::string:
        WriteString({value.get_string().data(), value.get_string().size()}, out_);
        break;
      case json::kind::array: WriteArray(value.get_array()); break;
      case json::kind::object: WriteObject(value.get_object()); break;
    }
  }

 private:
  void WriteArray(const json::array& array) {
    *out_ += '[';
    ++level_;
    bool first = true;
    for (const json::value& element : array) {
      Separate(&first);
      Write(element);
    }
    Close(array.empty());
    *out_ += ']';
  }
  void WriteObject(const json::object& object) {
    *out_ += '{';
    ++level_;
    bool first = true;
    for (const json::key_value_pair& member : object) {
      Separate(&first);
      WriteString({member.key().data(), member.key().size()}, out_);
      *out_ += ": ";
      Write(member.value());
    }
    Close(object.empty());
    *out_ += '}';
  }
  void Separate(bool* first) {
    if (!*first) {
      *out_ += pretty_ ? "," : ", ";
    }
    *first = false;
    if (pretty_) {
      NewLine();
    }
  }
  void Close(bool empty) {
    --level_;
    if (pretty_ && !empty) {
      NewLine();
    }
  }
  void NewLine() {
    *out_ += '\n';
    out_->append(level_ * 4, ' ');
  }

  const bool pretty_;
  std::string* const out_;
  size_t level_ = 0;
};

}  // namespace

Result<json::value> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Fail(Errc::kInvalidArgument, "JSON text of {} bytes is longer than {}", text.size(),
                limits.max_bytes);
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::basic_parser<Handler> parser(options, limits.max_values);
  json::error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().refusal().empty()) {
    return Fail(Errc::kInvalidArgument, "JSON text at byte {}: {}", used, parser.handler().refusal());
  }
  if (error) {
    return Fail(Errc::kInvalidArgument, "JSON text at byte {}: {}", used, error.message());
  }
  if (used < text.size()) {
    return Fail(Errc::kInvalidArgument, "JSON text at byte {}: something follows the value", used);
  }
  return parser.handler().Release();
}

std::string JsonText(const json::value& value) {
  std::string text;
  Writer(false, &text).Write(value);
  return text;
}

std::string PrettyJsonText(const json::value& value) {
  std::string text;
  Writer(true, &text).Write(value);
  return text;
}

}  // namespace nandu
