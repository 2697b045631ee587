// From "tcp::4444,server,nowait" to the socket backend's options.
#include "chardev/legacy_text.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>

namespace nandu {
namespace {

// Takes text up to the first single comma; ",," stands for one comma within it.
std::string TakeValue(std::string_view* text) {
  std::string value;
  while (!text->empty()) {
    if (text->front() == ',') {
      if (text->size() < 2 || (*text)[1] != ',') {
        break;
      }
      text->remove_prefix(1);
    }
    value.push_back(text->front());
    text->remove_prefix(1);
  }
  return value;
}

// ",server=on,wait=off" and the short form ",server,nowait".
Result<> TakeOptions(std::string_view text, boost::json::object* options) {
  while (!text.empty()) {
    text.remove_prefix(1);  // the comma
    const std::string option = TakeValue(&text);
    const size_t equals = option.find('=');
    if (option.empty() || equals == 0) {
      return Fail(Errc::kInvalidArgument, "an option between two commas is empty");
    }
    if (equals != std::string::npos) {
      (*options)[option.substr(0, equals)] = option.substr(equals + 1);
    } else if (option.starts_with("no") && option != "nodelay") {
      (*options)[option.substr(2)] = "off";
    } else {
      (*options)[option] = "on";
    }
  }
  return {};
}

Result<LegacyChardev> ParseTcp(std::string_view text) {
  const std::string_view whole = text;
  boost::json::object options;
  std::string host;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return Fail(Errc::kInvalidArgument, "'tcp:{}': the address lacks its ]", whole);
    }
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
  } else {
    const size_t colon = text.find(':');
    host = text.substr(0, colon);
    text.remove_prefix(std::min(colon, text.size()));
  }
  if (!text.starts_with(':')) {
    return Fail(Errc::kInvalidArgument, "'tcp:{}': expected tcp:HOST:PORT", whole);
  }
  text.remove_prefix(1);
  options["host"] = host;
  options["port"] = TakeValue(&text);
  TRY(TakeOptions(text, &options));
  return LegacyChardev{LegacyChardev::Kind::kNew, "", "socket",
                       std::make_shared<const boost::json::object>(std::move(options))};
}

Result<LegacyChardev> ParseUnix(std::string_view text) {
  boost::json::object options;
  options["path"] = TakeValue(&text);
  TRY(TakeOptions(text, &options));
  return LegacyChardev{LegacyChardev::Kind::kNew, "", "socket",
                       std::make_shared<const boost::json::object>(std::move(options))};
}

LegacyChardev Simple(std::string_view backend, boost::json::object options = {}) {
  return {LegacyChardev::Kind::kNew, "", std::string(backend),
          std::make_shared<const boost::json::object>(std::move(options))};
}

std::optional<std::string_view> After(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return std::nullopt;
  }
  return text.substr(prefix.size());
}

Result<LegacyChardev> ParsePlain(std::string_view text) {
  if (text == "none") {
    return LegacyChardev{};
  }
  if (text == "null" || text == "stdio" || text == "pty") {
    return Simple(text);
  }
  if (const auto id = After(text, "chardev:")) {
    return LegacyChardev{LegacyChardev::Kind::kExisting, std::string(*id), "", nullptr};
  }
  if (const auto path = After(text, "file:")) {
    return Simple("file", {{"path", *path}});
  }
  if (const auto path = After(text, "pipe:")) {
    return Simple("pipe", {{"path", *path}});
  }
  if (const auto rest = After(text, "unix:")) {
    return ParseUnix(*rest);
  }
  if (const auto rest = After(text, "tcp:")) {
    return ParseTcp(*rest);
  }
  if (text == "vc" || text.starts_with("vc:")) {
    return Fail(Errc::kUnsupported, "'{}': there are no graphical text consoles; use stdio, pty or a socket",
                text);
  }
  static constexpr std::array<std::string_view, 7> kRefused = {
      "telnet:", "tn3270:", "websocket:", "udp:", "/dev/", "con:", "braille"};
  if (std::any_of(kRefused.begin(), kRefused.end(),
                  [&](std::string_view prefix) { return text.starts_with(prefix); })) {
    return Fail(Errc::kUnsupported,
                "'{}' is not supported; use tcp:HOST:PORT, unix:PATH, pty, stdio or file:PATH", text);
  }
  return Fail(Errc::kInvalidArgument,
              "'{}' names no character device; known: stdio, mon:stdio, pty, null, none, file:PATH, "
              "pipe:PATH, unix:PATH, "
              "tcp:HOST:PORT, chardev:ID",
              text);
}

}  // namespace

Result<LegacyChardev> ParseLegacyChardev(std::string_view text, LegacyMux mux) {
  const auto shared = After(text, "mon:");
  if (!shared) {
    return ParsePlain(text);
  }
  if (mux == LegacyMux::kRefused) {
    return Fail(Errc::kInvalidArgument, "'{}': mon: is for -serial; write '{}'", text, *shared);
  }
  LegacyChardev parsed = TRY(ParsePlain(*shared));
  if (parsed.kind != LegacyChardev::Kind::kNew) {
    return Fail(Errc::kInvalidArgument,
                "'{}': mon: needs a character device that it makes; put mux=on on the -chardev instead",
                text);
  }
  boost::json::object options = *parsed.options;
  options["mux"] = "on";
  if (parsed.backend == "stdio") {
    options["signal"] = "off";  // as QEMU: Ctrl-c is the guest's, Ctrl-a x quits
  }
  parsed.options = std::make_shared<const boost::json::object>(std::move(options));
  return parsed;
}

}  // namespace nandu
