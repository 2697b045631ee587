// -display, -vga, -audiodev, -compat and -msg.

#include <algorithm>
#include <array>

#include "cli/builder.h"
#include "cli/property_list.h"

namespace nandu {
namespace {

// A bag whose values are all words; takes one of them, empty when it is not there.
Result<std::string> TakeWord(boost::json::object* bag, std::string_view key) {
  const boost::json::value* value = bag->if_contains(key);
  if (value == nullptr) {
    return std::string();
  }
  if (!value->is_string()) {
    return Fail(Errc::kInvalidArgument, "{}: expected a string", key);
  }
  std::string word(value->as_string());
  bag->erase(key);
  return word;
}

Result<> NothingLeft(const boost::json::object& bag, std::string_view of) {
  if (!bag.empty()) {
    return Fail(Errc::kUnsupported, "property '{}' of {} is not served", bag.begin()->key(), of);
  }
  return {};
}

constexpr std::array kDisplays = {"spice-app", "sdl",          "gtk",  "vnc",
                                  "curses",    "egl-headless", "dbus", "default"};
constexpr std::array kCards = {"cirrus", "vmware", "qxl", "virtio"};
constexpr std::array kAudioDrivers = {"alsa", "oss", "pa", "sdl", "sndio", "spice", "dbus", "wav", "jack"};

}  // namespace

Result<> Builder::Display(std::string_view text) {
  if (IsHelp(text)) {
    return Answer("Available display backend types:\nnone\n");
  }
  boost::json::object bag = TRY(ParseOptionBag(text, "type", Nesting::kFlat));
  const std::string type = TRY(TakeWord(&bag, "type"));
  if (type == "none") {
    return NothingLeft(bag, "display 'none'");
  }
  // QEMU 7.2 takes "vnc=:1" here as well; its type is the key.
  const std::string_view named = type.empty() && !bag.empty() ? std::string_view(bag.begin()->key()) : type;
  const bool known = std::ranges::find(kDisplays, named) != kDisplays.end();
  return Fail(known ? Errc::kUnsupported : Errc::kInvalidArgument, "{} '{}'; use -display none or -nographic",
              known ? "it waits for windows and remote displays: there is no display" : "there is no display",
              named);
}

Result<> Builder::Vga(std::string_view text) {
  if (IsHelp(text)) {
    return Answer("none                 no graphic card\nstd                  standard VGA (default)\n");
  }
  if (text == "none" || text == "std") {
    vga_ = text;
    return {};
  }
  if (std::ranges::find(kCards, text) != kCards.end()) {
    return Fail(Errc::kUnsupported,
                "the graphics card '{}' waits for displays beyond VGA; use -vga std or none", text);
  }
  return Fail(Errc::kInvalidArgument, "there is no graphics card '{}'; use -vga std or none", text);
}

Result<> Builder::Audiodev(std::string_view text) {
  if (IsHelp(text)) {
    return Answer("Available audio drivers:\nnone\n");
  }
  boost::json::object bag = TRY(ParseOptionBag(text, "driver", Nesting::kDotted));
  const std::string driver = TRY(TakeWord(&bag, "driver"));
  const std::string id = TRY(TakeWord(&bag, "id"));
  if (driver.empty() || id.empty()) {
    return Fail(Errc::kInvalidArgument,
                "an audio backend needs its driver and an id: -audiodev DRIVER,id=NAME");
  }
  if (std::ranges::find(kAudioDrivers, driver) != kAudioDrivers.end()) {
    return Fail(Errc::kUnsupported, "audio driver '{}' waits for sound; known today: none", driver);
  }
  if (driver != "none") {
    return Fail(Errc::kInvalidArgument, "there is no audio driver '{}'; known: none", driver);
  }
  if (!audiodevs_.insert(id).second) {
    return Fail(Errc::kExists, "there is an audio backend '{}' already", id);
  }
  return NothingLeft(bag, "audio driver 'none'");
}

Result<> Builder::Msg(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, {}));
  config_.msg_timestamp = TRY(list.TakeSwitch("timestamp", config_.msg_timestamp));
  config_.msg_guest_name = TRY(list.TakeSwitch("guest-name", config_.msg_guest_name));
  return list.Finish();
}

// No interface of nandu's is deprecated or unstable, so every policy on such is kept.
Result<> Builder::Compat(std::string_view text) {
  boost::json::object bag = TRY(ParseOptionBag(text, {}, Nesting::kFlat));
  for (const std::string_view subject : {"deprecated", "unstable"}) {
    const std::string input = TRY(TakeWord(&bag, Format("{}-input", subject)));
    const std::string output = TRY(TakeWord(&bag, Format("{}-output", subject)));
    constexpr std::array kInputs = {"", "accept", "reject", "crash"};
    if (std::ranges::find(kInputs, input) == kInputs.end()) {
      return Fail(Errc::kInvalidArgument, "{}-input={}: known are accept, reject and crash", subject, input);
    }
    if (!output.empty() && output != "accept" && output != "hide") {
      return Fail(Errc::kInvalidArgument, "{}-output={}: known are accept and hide", subject, output);
    }
  }
  if (!bag.empty()) {
    return Fail(Errc::kInvalidArgument, "unknown property '{}'", bag.begin()->key());
  }
  return {};
}

}  // namespace nandu
