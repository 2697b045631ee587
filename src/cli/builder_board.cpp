// Where firmware is looked for (-L); what a guest's panic and its watchdog do (-action, -watchdog-action).
#include "cli/builder.h"
#include "machine/firmware_files.h"

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
    {"reset", WatchdogAction::kReset},         {"shutdown", WatchdogAction::kShutdown},
    {"poweroff", WatchdogAction::kPoweroff},   {"pause", WatchdogAction::kPause},
    {"debug", WatchdogAction::kDebug},         {"none", WatchdogAction::kNone},
    {"inject-nmi", WatchdogAction::kInjectNmi}};

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

}  // namespace

// `-L help` lists the directories that are searched, those of -L before it too.
Result<> Builder::FirmwareDirectory(std::string_view text) {
  if (!IsHelp(text)) {
    config_.firmware_directories.emplace_back(text);
    return {};
  }
  std::string list;
  for (const std::string& directory : config_.firmware_directories) {
    list += directory + "\n";
  }
  for (const std::string_view directory : FirmwareFiles::DistributionDirectories()) {
    list.append(directory).append("\n");
  }
  return Answer(std::move(list));
}

Result<> Builder::PanicAct(std::string_view text) {
  return text.empty() ? Result<>() : TakeAction("panic", text, kPanicActions, &config_.panic);
}

Result<> Builder::WatchdogAct(std::string_view text) {
  return text.empty() ? Result<>() : TakeAction("watchdog", text, kWatchdogActions, &config_.watchdog);
}

}  // namespace nandu
