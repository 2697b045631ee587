#include "cli/tokenizer.h"

#include "base/nearest.h"

namespace nandu {

std::string Token::Text() const {
  return option->takes_value ? Format("-{} {}", option->name, value) : Format("-{}", option->name);
}

Result<std::vector<Token>> Tokenize(std::span<const std::string_view> arguments) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (word.size() < 2 || word[0] != '-') {
      return Fail(
          Errc::kUnsupported,
          "'{}' is neither an option nor a command ('nandu help' lists them); for QEMU a bare word is an "
          "IDE disk, which is not there yet: use -drive if=virtio,format=raw,file={}",
          word, word);
    }
    const std::string_view name = word.substr(word.starts_with("--") ? 2 : 1);
    const OptionSpec* option = FindOption(name);
    if (option == nullptr) {
      std::vector<std::string_view> known;
      for (const OptionSpec& spec : OptionTable()) {
        known.push_back(spec.name);
      }
      return Fail(Errc::kInvalidArgument, "unknown option '{}'{}; 'nandu -help' lists them", word,
                  DidYouMean(name, known));
    }
    Token token{option, {}};
    if (option->takes_value) {
      if (i + 1 == arguments.size()) {
        return Fail(Errc::kInvalidArgument, "option '-{}' needs an argument", option->name);
      }
      token.value = arguments[++i];
    }
    tokens.push_back(token);
  }
  return tokens;
}

}  // namespace nandu
