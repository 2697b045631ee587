#include "cli/config_file.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace nandu {
namespace {

// Groups whose option is named otherwise, and those named like it.
constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"memory", "m"},        {"smp-opts", "smp"},
    {"boot-opts", "boot"},  {"acpi", "acpitable"},
    {"accel", "accel"},     {"action", "action"},
    {"chardev", "chardev"}, {"device", "device"},
    {"drive", "drive"},     {"fsdev", "fsdev"},
    {"fw_cfg", "fw_cfg"},   {"global", "global"},
    {"machine", "machine"}, {"mon", "mon"},
    {"msg", "msg"},         {"name", "name"},
    {"net", "net"},         {"netdev", "netdev"},
    {"nic", "nic"},         {"numa", "numa"},
    {"object", "object"},   {"overcommit", "overcommit"},
    {"rtc", "rtc"},         {"sandbox", "sandbox"},
    {"smbios", "smbios"},   {"spice", "spice"},
    {"tpmdev", "tpmdev"},   {"trace", "trace"},
    {"virtfs", "virtfs"},   {"vnc", "vnc"},
};

constexpr std::string_view kBlanks = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of(kBlanks), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// What stands between the quotes of a text that is nothing else.
std::optional<std::string_view> Unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.find('"', 1) != text.size() - 1) {
    return std::nullopt;
  }
  return text.substr(1, text.size() - 2);
}

void Append(std::string* value, std::string_view key, std::string_view text) {
  *value += Format("{}{}={}", value->empty() ? "" : ",", key, EscapeCommas(text));
}

struct Heading {
  const OptionSpec* option = nullptr;
  std::string_view id;
};

// `[group]` or `[group "id"]`.
Result<Heading> ParseHeading(std::string_view line) {
  const std::string_view inner = Trim(line.substr(1, line.size() - 2));
  const size_t end = std::min(inner.find_first_of(" \t"), inner.size());
  const std::string_view group = inner.substr(0, end);
  const std::string_view rest = Trim(inner.substr(end));
  const std::optional<std::string_view> id = Unquote(rest);
  if (!rest.empty() && !id) {
    return Fail(Errc::kInvalidArgument, "a section is [group] or [group \"id\"]");
  }
  const OptionSpec* option = FindOptionGroup(group);
  if (option == nullptr) {
    return Fail(Errc::kInvalidArgument, "there is no option group '{}'", group);
  }
  return Heading{option, id.value_or("")};
}

class Parser {
 public:
  Result<> TakeLine(std::string_view line) {
    if (line.empty() || line.starts_with('#')) {
      return {};
    }
    if (line.starts_with('[') && line.ends_with(']') && line.size() > 2) {
      CloseSection();
      const Heading heading = TRY(ParseHeading(line));
      sections_.push_back({heading.option, {}});
      id_ = heading.id;
      return {};
    }
    const size_t equals = line.find('=');
    const std::string_view key = Trim(line.substr(0, equals));
    const std::optional<std::string_view> value =
        equals == std::string_view::npos ? std::nullopt : Unquote(Trim(line.substr(equals + 1)));
    if (key.empty() || key.find_first_of(" \t,") != std::string_view::npos || !value) {
      return Fail(Errc::kInvalidArgument, "write [group], [group \"id\"] or key = \"value\"");
    }
    if (sections_.empty()) {
      return Fail(Errc::kInvalidArgument, "'{}' belongs to no section; begin one with [group]", key);
    }
    Append(&sections_.back().value, key, *value);
    return {};
  }

  std::vector<ConfigSection> Finish() {
    CloseSection();
    return std::move(sections_);
  }

 private:
  void CloseSection() {
    if (!sections_.empty() && !id_.empty()) {
      Append(&sections_.back().value, "id", id_);
    }
    id_ = {};
  }

  std::vector<ConfigSection> sections_;
  std::string_view id_;  // of the last section
};

}  // namespace

const OptionSpec* FindOptionGroup(std::string_view group) {
  const auto* found =
      std::ranges::find(kGroups, group, &std::pair<std::string_view, std::string_view>::first);
  return found == std::end(kGroups) ? nullptr : FindOption(found->second);
}

std::string EscapeCommas(std::string_view value) {
  std::string text;
  for (const char c : value) {
    text += c == ',' ? std::string(",,") : std::string(1, c);
  }
  return text;
}

Result<std::vector<ConfigSection>> ParseConfigFile(std::string_view text, std::string_view name) {
  Parser parser;
  for (unsigned number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    TRY(Prefix(parser.TakeLine(Trim(text.substr(0, end))), Format("{}, line {}", name, number)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.Finish();
}

}  // namespace nandu
