// Words of a command line, from tokenizer to configuration: whatever they are, they are taken or refused in
// one sentence, and nothing is opened. A line of the input is a word; a first byte below the number of
// options stands for that option, so that few bytes reach every one.
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/config_builder.h"
#include "cli/keyval.h"
#include "cli/numbers.h"

namespace nandu {
namespace {

std::vector<std::string> Words(std::string_view text) {
  const auto options = OptionTable();
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // Printable bytes are words as they are; the others count options from the first.
    const size_t number = line.empty() ? 0 : static_cast<uint8_t>(line[0]);
    const size_t index = number < ' ' ? number : number - 0x80 + ' ';
    if (!line.empty() && (number < ' ' || number >= 0x80) && index < options.size()) {
      words.push_back(Format("-{}", options[index].name));
      line.remove_prefix(1);
      if (!options[index].takes_value) {
        continue;
      }
    }
    words.emplace_back(line);
  }
  return words;
}

void CheckSentence(const Error& error) {
  NANDU_CHECK(!error.message.empty(), "an error says what is wrong");
  NANDU_CHECK(error.message.find('\n') == std::string::npos, "an error is one line");
}

void TryPieces(std::string_view word) {
  for (const std::string_view implied : {"", "driver"}) {
    for (const Nesting nesting : {Nesting::kFlat, Nesting::kDotted}) {
      if (const auto bag = ParseOptionBag(word, implied, nesting); !bag) {
        CheckSentence(bag.error());
      }
    }
  }
  (void)SizeFrom(word, 1 << 20);
  (void)NumberFrom(word, 0, UINT32_MAX);
  (void)SwitchFrom(word);
}

}  // namespace
}  // namespace nandu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nandu;
  const std::vector<std::string> words = Words({reinterpret_cast<const char*>(data), size});
  for (const std::string& word : words) {
    TryPieces(word);
  }
  const std::vector<std::string_view> arguments(words.begin(), words.end());
  if (const auto line = ParseCommandLine(arguments); !line) {
    CheckSentence(line.error());
  }
  return 0;
}
