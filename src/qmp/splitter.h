// Cuts a monitor's byte stream into JSON texts. Clients need not send lines: one value ends where its
// brackets close, the next may follow at once. Owned by one session; control loop.
//
// It also does what QEMU's monitor does beyond RFC 8259: strings may stand in single quotes. They leave here
// in double quotes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nandu {

class JsonSplitter {
 public:
  explicit JsonSplitter(size_t max_text_bytes) : max_text_bytes_(max_text_bytes) {}

  // Takes bytes; what Next has not reached yet is kept, so the caller bounds how much it appends between two
  // Nexts that answer nothing.
  void Append(std::span<const std::byte> bytes);

  struct Text {
    std::string json;     // balanced, still to be parsed; empty when `refusal` is not
    std::string refusal;  // why what was read so far is thrown away: a stray closing bracket, a line break in
                          // a string, too long
  };
  std::optional<Text> Next();                              // nullopt: more bytes are needed
  bool has_more() const { return at_ < waiting_.size(); }  // bytes that Next has not looked at

 private:
  enum class In : unsigned char { kNothing, kWord, kBrackets, kDoubleQuotes, kSingleQuotes };
  Text Take();
  Text Refuse(std::string refusal);
  std::optional<Text> Step(char c, bool* again);
  std::optional<Text> StepOutside(char c);
  std::optional<Text> StepInString(char c);

  const size_t max_text_bytes_;
  std::string waiting_;  // not looked at yet, from `at_`
  size_t at_ = 0;
  std::string text_;  // of the value being read
  In in_ = In::kNothing;
  bool escaped_ = false;  // the last character of a string was a backslash
  size_t depth_ = 0;      // open brackets around
};

}  // namespace nandu
