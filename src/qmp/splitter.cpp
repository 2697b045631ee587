#include "qmp/splitter.h"

#include <utility>

#include "base/format.h"

namespace nandu {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsOpening(char c) { return c == '{' || c == '['; }
bool IsClosing(char c) { return c == '}' || c == ']'; }
bool IsQuote(char c) { return c == '"' || c == '\''; }

}  // namespace

void JsonSplitter::Append(std::span<const std::byte> bytes) {
  waiting_.erase(0, std::exchange(at_, 0));
  waiting_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

JsonSplitter::Text JsonSplitter::Take() {
  in_ = In::kNothing;
  depth_ = 0;
  escaped_ = false;
  return {std::exchange(text_, {}), {}};
}

JsonSplitter::Text JsonSplitter::Refuse(std::string refusal) {
  Take();
  return {{}, std::move(refusal)};
}

std::optional<JsonSplitter::Text> JsonSplitter::Next() {
  while (at_ < waiting_.size()) {
    bool again = false;
    std::optional<Text> text = Step(waiting_[at_], &again);
    at_ += again ? 0 : 1;
    if (text) {
      return text;
    }
    if (text_.size() > max_text_bytes_) {
      return Refuse(Format("a command is longer than {} bytes", max_text_bytes_));
    }
  }
  waiting_.clear();
  at_ = 0;
  return std::nullopt;
}

// `again`: the character ends what was before and is looked at once more.
std::optional<JsonSplitter::Text> JsonSplitter::Step(char c, bool* again) {
  switch (in_) {
    case In::kDoubleQuotes:
    case In::kSingleQuotes: return StepInString(c);
    case In::kWord:
      if (IsSpace(c) || IsOpening(c) || IsClosing(c) || IsQuote(c)) {
        *again = true;
        return Take();
      }
      text_ += c;
      return std::nullopt;
    case In::kNothing:
    case In::kBrackets: return StepOutside(c);
  }
  return std::nullopt;
}

std::optional<JsonSplitter::Text> JsonSplitter::StepOutside(char c) {
  if (IsSpace(c)) {
    if (in_ == In::kBrackets) {
      text_ += c;
    }
    return std::nullopt;
  }
  if (IsQuote(c)) {
    text_ += '"';
    in_ = c == '"' ? In::kDoubleQuotes : In::kSingleQuotes;
    return std::nullopt;
  }
  if (IsOpening(c)) {
    text_ += c;
    in_ = In::kBrackets;
    ++depth_;
    return std::nullopt;
  }
  if (IsClosing(c)) {
    if (depth_ == 0) {
      return Refuse(Format("JSON text: '{}' closes nothing", c));
    }
    text_ += c;
    --depth_;
    return depth_ == 0 ? std::optional(Take()) : std::nullopt;
  }
  text_ += c;
  if (in_ == In::kNothing) {
    in_ = In::kWord;
  }
  return std::nullopt;
}

std::optional<JsonSplitter::Text> JsonSplitter::StepInString(char c) {
  // RFC 8259, 7: control characters are escaped. One that is not is a forgotten quote; the next line starts
  // afresh.
  if (static_cast<unsigned char>(c) < 0x20) {
    return Refuse("JSON text: a line break or control character stands inside a string");
  }
  if (std::exchange(escaped_, false)) {
    if (c == '\'') {
      text_.pop_back();  // \' is no escape of JSON and needs none
    }
    text_ += c;
    return std::nullopt;
  }
  if (c == '\\') {
    escaped_ = true;
    text_ += c;
    return std::nullopt;
  }
  const char quote = in_ == In::kDoubleQuotes ? '"' : '\'';
  if (c == quote) {
    text_ += '"';
    in_ = In::kBrackets;
    return depth_ == 0 ? std::optional(Take()) : std::nullopt;
  }
  if (c == '"') {
    text_ += '\\';  // a double quote between single ones
  }
  text_ += c;
  return std::nullopt;
}

}  // namespace nandu
