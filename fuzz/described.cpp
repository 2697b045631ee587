// Hostile JSON through the described-struct walker: what is read back out of a struct must be read in again,
// equal; saved state that parses must serialize to the bytes it came from once written anew.
#include "base/described.h"

#include <boost/json/value.hpp>

#include "base/check.h"
#include "base/json.h"
#include "state/document.h"

namespace nandu {

enum class FuzzMode { kOne, kTwo };
BOOST_DESCRIBE_ENUM(FuzzMode, kOne, kTwo)
struct FuzzText {
  std::string text;
};
BOOST_DESCRIBE_STRUCT(FuzzText, (), (text))
constexpr std::string_view TagValue(const FuzzText* /*type*/) { return "text"; }
struct FuzzNumbers {
  int8_t small = 0;
  uint64_t large = 0;
  double real = 0;
};
BOOST_DESCRIBE_STRUCT(FuzzNumbers, (), (small, large, real))
constexpr std::string_view TagValue(const FuzzNumbers* /*type*/) { return "numbers"; }

struct FuzzNode {
  FuzzMode mode = FuzzMode::kOne;
  bool flag = false;
  std::variant<FuzzText, FuzzNumbers> tagged;
  OneOf<std::string, FuzzNumbers, std::monostate> alternate;
  std::optional<uint16_t> maybe;
  std::vector<std::byte> bytes;
  std::array<uint8_t, 2> pair{};
  std::unique_ptr<FuzzNode> next;
  std::vector<FuzzNode> children;
  boost::json::value any;
};
BOOST_DESCRIBE_STRUCT(FuzzNode, (), (mode, flag, tagged, alternate, maybe, bytes, pair, next, children, any))

namespace {

void ReadAndReadAgain(const boost::json::value& value, const WalkOptions& options) {
  const Result<FuzzNode> node = FromJson<FuzzNode>(value, options);
  if (!node) {
    NANDU_CHECK(!node.error().message.empty(), "a refusal says why");
    return;
  }
  const std::string text = JsonText(ToJson(TypeOf<FuzzNode>(), &*node));
  const Result<boost::json::value> again = ParseJson(text);
  NANDU_CHECK(again.has_value(), "what is written can be parsed");
  const Result<FuzzNode> copy = FromJson<FuzzNode>(*again);
  NANDU_CHECK(copy.has_value(), "what is written can be read");
  NANDU_CHECK(Equal(*node, *copy), "what is read back is equal");
}

}  // namespace
}  // namespace nandu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nandu;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<boost::json::value> value = ParseJson(text, {.max_bytes = 1 << 16})) {
    ReadAndReadAgain(*value, {.max_bytes_allocated = 1 << 20});
    ReadAndReadAgain(*value,
                     {.unknown = UnknownFields::kIgnore, .lenient = true, .max_bytes_allocated = 1 << 20});
  }
  if (const Result<StateDocument> document = StateDocument::Parse(std::as_bytes(std::span(data, size)))) {
    const std::vector<std::byte> bytes = document->Serialize();
    const Result<StateDocument> again = StateDocument::Parse(bytes);
    NANDU_CHECK(again.has_value(), "what is serialized can be parsed");
    NANDU_CHECK(again->Serialize() == bytes, "equal states are equal bytes");
  }
  return 0;
}
