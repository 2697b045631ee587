// What a guest's panic and its watchdog do (-action, -watchdog-action), and -global for the one driver of the
// board that has a default to change.
#include "cli/builder.h"
#include "cli/numbers.h"
#include "cli/property_list.h"

namespace nandu {
namespace {

template <class Action>
struct NamedAction {
  std::string_view name;
  Action action;
};
constexpr NamedAction<PanicAction> kPanicActions[] = {{"pause", PanicAction::kPause},
                                                      {"shutdown", PanicAction::kShutdown},
                                                      {"exit-failure", PanicAction::kExitFailure},
                                                      {"none", PanicAction::kNone}};
constexpr NamedAction<WatchdogAction> kWatchdogActions[] = {
    {"reset", WatchdogAction::kReset},       {"shutdown", WatchdogAction::kShutdown},
    {"poweroff", WatchdogAction::kPoweroff}, {"pause", WatchdogAction::kPause},
    {"debug", WatchdogAction::kDebug},       {"none", WatchdogAction::kNone}};

template <class Action, size_t kCount>
Result<> TakeAction(std::string_view key, std::string_view text, const NamedAction<Action> (&known)[kCount],
                    Action* out) {
  std::string names;
  for (const NamedAction<Action>& one : known) {
    if (one.name == text) {
      *out = one.action;
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return Fail(Errc::kInvalidArgument, "{}={}: known are {}", key, text, names);
}

constexpr std::string_view kBridge = "ICH9-LPC";
constexpr std::string_view kNoReboot = "noreboot";

}  // namespace

Result<> Builder::PanicAct(std::string_view text) {
  return text.empty() ? Result<>() : TakeAction("panic", text, kPanicActions, &config_.panic);
}

Result<> Builder::WatchdogAct(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  if (text == "inject-nmi") {
    return Fail(Errc::kUnsupported,
                "a watchdog cannot inject NMIs yet; take reset, shutdown, poweroff, pause, debug or none");
  }
  return TakeAction("watchdog", text, kWatchdogActions, &config_.watchdog);
}

// "driver.property=value", or all three as properties.
Result<> Builder::Global(std::string_view text) {
  const size_t dot = text.find('.');
  const size_t equals = text.find('=');
  std::string driver;
  std::string property;
  std::string value;
  if (dot != std::string_view::npos && equals != std::string_view::npos && dot < equals) {
    driver = text.substr(0, dot);
    property = text.substr(dot + 1, equals - dot - 1);
    value = text.substr(equals + 1);
  } else {
    PropertyList list = TRY(PropertyList::Parse(text, {}));
    driver = list.Take("driver");
    property = list.Take("property");
    value = list.Take("value");
    TRY(list.Finish());
  }
  if (driver != kBridge || property != kNoReboot) {
    return Fail(Errc::kUnsupported,
                "only {}.{} has a default to change yet; give '{}' of '{}' to its -device instead", kBridge,
                kNoReboot, property, driver);
  }
  config_.no_reboot_strap = TRY(Prefix(SwitchFrom(value), kNoReboot));
  return {};
}

}  // namespace nandu
