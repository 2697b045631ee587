// Hostile bytes into a QMP session, in pieces: every line that comes back is JSON and ends in CR LF.
#include <boost/json/value.hpp>

#include "base/check.h"
#include "base/json.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"

namespace nandu {

struct FuzzEchoArgs {
  std::string text;
  std::optional<std::vector<uint8_t>> numbers;
};
BOOST_DESCRIBE_STRUCT(FuzzEchoArgs, (), (text, numbers))

namespace {

void CheckLines(std::string_view written) {
  while (!written.empty()) {
    const size_t end = written.find("\r\n");
    NANDU_CHECK(end != std::string_view::npos, "a line ends in CR LF");
    NANDU_CHECK(ParseJson(written.substr(0, end), {.max_depth = 80}).has_value(), "a line is JSON");
    written.remove_prefix(end + 2);
  }
}

}  // namespace
}  // namespace nandu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nandu;
  QmpServer server({}, [] { return int64_t{0}; }, nullptr);
  server.registry().Bind<FuzzEchoArgs, std::string>(
      "echo", [](const FuzzEchoArgs& args, Reply<std::string> reply) { reply.Return(args.text); });
  const auto chardev = std::make_shared<FakeChardev>();
  NANDU_CHECK(server.AddSession(chardev).has_value(), "a free chardev takes a session");
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] % 2 == 0) {
    chardev->Type(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})");
  }
  const size_t piece = size > 1 ? data[1] % 64 + 1U : 1;
  while (!text.empty()) {
    chardev->Type(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
  }
  CheckLines(chardev->TakeWritten());
  return 0;
}
