#include "cli/expansion.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config_file.h"
#include "cli/keyval.h"
#include "sandbox/opener.h"

namespace nandu {
namespace {

constexpr off_t kMostConfigBytes = 1 << 20;

Result<std::string> ReadSmallFile(std::string_view path) {
  const UniqueFd fd = TRY(CreateInProcessOpener()->Open(std::string(path), O_RDONLY | O_NONBLOCK));
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return FailErrno(errno, "{}: cannot be examined", path);
  }
  if (!S_ISREG(status.st_mode) || status.st_size > kMostConfigBytes) {
    return Fail(Errc::kInvalidArgument, "{}: is no regular file of at most {} KiB", path,
                kMostConfigBytes >> 10);
  }
  std::string text(static_cast<size_t>(status.st_size), '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  if (got < 0) {
    return FailErrno(errno, "{}: cannot be read", path);
  }
  text.resize(static_cast<size_t>(got));
  return text;
}

bool HasId(const Token& token, const OptionSpec& option, std::string_view id) {
  if (token.option != &option || token.value.starts_with('{')) {
    return false;  // QEMU does not change JSON either
  }
  const auto items = ParseKeyValues(token.value, "implied");
  return items && std::ranges::any_of(
                      *items, [id](const KeyValue& item) { return item.key == "id" && item.value == id; });
}

}  // namespace

Result<ExpandedLine> ExpandedLine::Of(std::span<const Token> tokens) {
  ExpandedLine line;
  for (const Token& token : tokens) {
    if (token.option->name == "readconfig") {
      TRY(Prefix(line.ReadConfig(token.value), token.Text()));
    } else if (token.option->name == "set") {
      TRY(Prefix(line.Set(token.value), token.Text()));
    } else {
      line.tokens_.push_back(token);
    }
  }
  return line;
}

Result<> ExpandedLine::ReadConfig(std::string_view path) {
  const std::string text = TRY(ReadSmallFile(path));
  for (ConfigSection& section : TRY(ParseConfigFile(text, path))) {
    texts_.push_back(std::move(section.value));
    tokens_.push_back({section.option, texts_.back()});
  }
  return {};
}

// GROUP.ID.ARG=VALUE
Result<> ExpandedLine::Set(std::string_view text) {
  const size_t equals = std::min(text.find('='), text.size());
  const size_t first = text.substr(0, equals).find('.');
  const size_t second = first == std::string_view::npos ? first : text.substr(0, equals).find('.', first + 1);
  if (equals == text.size() || second == std::string_view::npos || first == 0 || second == first + 1 ||
      second + 1 == equals) {
    return Fail(Errc::kInvalidArgument, "write GROUP.ID.PROPERTY=VALUE, such as drive.disk0.file=/vm/a.img");
  }
  const std::string_view group = text.substr(0, first);
  const std::string_view id = text.substr(first + 1, second - first - 1);
  const std::string_view property = text.substr(second + 1, equals - second - 1);
  const OptionSpec* option = FindOptionGroup(group);
  if (option == nullptr) {
    return Fail(Errc::kInvalidArgument, "there is no option group '{}'", group);
  }
  if (group == "object") {
    return Fail(Errc::kUnsupported, "objects cannot be changed so; give the property to -object");
  }
  const auto found =
      std::ranges::find_if(tokens_, [&](const Token& token) { return HasId(token, *option, id); });
  if (found == tokens_.end()) {
    return Fail(Errc::kNotFound, "no -{} before it has the id '{}' (what is written in JSON is not changed)",
                option->name, id);
  }
  texts_.push_back(Format("{},{}={}", found->value, property, EscapeCommas(text.substr(equals + 1))));
  found->value = texts_.back();
  return {};
}

}  // namespace nandu
