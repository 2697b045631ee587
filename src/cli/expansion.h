// The options that change the line itself: -readconfig stands for the options in its file, -set adds a
// property to an option before it. What is left has neither. Control thread, at start.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/tokenizer.h"

namespace nandu {

class ExpandedLine {
 public:
  // Reads files. Errors begin with the option.
  static Result<ExpandedLine> Of(std::span<const Token> tokens);

  std::span<const Token> tokens() const { return tokens_; }  // into argv and into this object

 private:
  Result<> ReadConfig(std::string_view path);
  Result<> Set(std::string_view text);

  std::vector<Token> tokens_;
  std::deque<std::string> texts_;  // what is not argv's; its elements do not move
};

}  // namespace nandu
