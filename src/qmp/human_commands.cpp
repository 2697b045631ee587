#include "qmp/human_commands.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>

#include "base/nearest.h"
#include "base/number_text.h"
#include "machine/facets.h"

namespace nandu {

struct HumanCommands::Command {
  std::string_view name;
  std::string_view alias;
  std::string_view parameters;
  std::string_view help;
  void (*run)(HumanCommands& self, const Words& words, Done done);
  size_t most_parameters = 1;  // where there are any
};

struct HumanCommands::Topic {
  std::string_view name;
  std::string_view help;
  std::string (*text)(const HumanCommands& self);                 // or
  void (*later)(const HumanCommands& self, Done done) = nullptr;  // what only another thread knows
};

namespace {

// What a completion of the lifecycle shows: nothing, or why not.
UniqueFunction<void(Result<>)> ShowError(HumanCommands::Done done) {
  return [done = std::move(done)](Result<> result) {
    done(result ? std::string() : Format("Error: {}\n", result.error().message));
  };
}

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr std::string_view kNoBalloon = "Error: there is no memory balloon\n";

std::string OrNone(const std::string& text) { return text.empty() ? "none" : text; }

template <class Row>
const Row* FindRow(const std::vector<Row>& rows, std::string_view name) {
  const auto at = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  return at == rows.end() ? nullptr : &*at;
}

template <class Row>
std::string UnknownText(std::string_view what, std::string_view name, const std::vector<Row>& rows,
                        std::string_view list) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) {
    names.push_back(row.name);
  }
  name = name.substr(0, 64);
  return Format("unknown {} '{}'{}; type '{}' for the list\n", what, name, DidYouMean(name, names), list);
}

}  // namespace

const std::vector<HumanCommands::Command>& HumanCommands::Commands() {
  static const auto& commands = *new std::vector<Command>{
      {"balloon", "", "target", "leave the guest with so many MiB of memory",
       [](HumanCommands& self, const Words& words, Done done) {
         done(self.SetBalloon(words.size() < 2 ? std::string_view() : words[1]));
       }},
      {"cont", "c", "", "let the guest run",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.Cont(ShowError(std::move(done)));
       }},
      {"help", "?", "[command]", "show what there is",
       [](HumanCommands& self, const Words& words, Done done) { self.Help(words, std::move(done)); }},
      {"hostfwd_add", "", "[netdev] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
       "let a port of the host lead into a user network",
       [](HumanCommands& self, const Words& words, Done done) { self.AddForward(words, std::move(done)); },
       2},
      {"hostfwd_remove", "", "[netdev] [tcp|udp]:[hostaddr]:hostport", "take such a port away again",
       [](HumanCommands& self, const Words& words, Done done) { self.RemoveForward(words, std::move(done)); },
       2},
      {"info", "", "[topic]", "show one of the topics that 'info' lists",
       [](HumanCommands& self, const Words& words, Done done) { self.Info(words, std::move(done)); }},
      {"nmi", "", "", "press the NMI button",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.InjectNmi();
         done({});
       }},
      {"quit", "q", "", "end the VM",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.Quit();
         done({});
       }},
      {"screendump", "", "filename [-f format] [device [head]]",
       "write what the screen shows to a file, as PPM or PNG",
       [](HumanCommands& self, const Words& words, Done done) { self.Screendump(words, std::move(done)); },
       5},
      {"stop", "s", "", "let the guest stand still",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.Stop(ShowError(std::move(done)));
       }},
      {"system_powerdown", "", "", "press the power button",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.SystemPowerdown();
         done({});
       }},
      {"system_reset", "", "", "press the reset button",
       [](HumanCommands& self, const Words&, Done done) {
         self.lifecycle_.SystemReset();
         done({});
       }},
  };
  return commands;
}

const std::vector<HumanCommands::Topic>& HumanCommands::Topics() {
  static const auto& topics = *new std::vector<Topic>{
      {"balloon", "how much memory the balloon leaves the guest",
       [](const HumanCommands& self) { return self.BalloonText(); }},
      {"cpus", "the vCPUs and their threads", [](const HumanCommands& self) { return self.CpusText(); }},
      {"kvm", "whether the guest runs on KVM",
       [](const HumanCommands& self) {
         return Format("kvm support: {}\n", self.info_.kvm_enabled() ? "enabled" : "disabled");
       }},
      {"name", "the VM's name", [](const HumanCommands& self) { return OrNone(self.info_.name()) + "\n"; }},
      {"status", "whether the guest runs", [](const HumanCommands& self) { return self.StatusText(); }},
      {"usernet", "user networks and their connections", nullptr,
       [](const HumanCommands& self, Done done) { self.net_.ListUserNets(std::move(done)); }},
      {"uuid", "the VM's UUID", [](const HumanCommands& self) { return OrNone(self.info_.uuid()) + "\n"; }},
      {"version", "which nandu this is", [](const HumanCommands& self) { return self.VersionText(); }},
  };
  return topics;
}

void HumanCommands::Execute(std::string_view line, Done done) {
  Words words;
  for (size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  if (words.empty()) {
    done({});
    return;
  }
  const std::vector<Command>& commands = Commands();
  const auto command = std::find_if(commands.begin(), commands.end(), [&](const Command& row) {
    return words[0] == row.name || (!row.alias.empty() && words[0] == row.alias);
  });
  if (command == commands.end()) {
    done(UnknownText("command", words[0], commands, "help"));
  } else if (words.size() > 1 + (command->parameters.empty() ? 0 : command->most_parameters)) {
    done(Format("'{}' takes {}\n", command->name,
                command->parameters.empty()     ? "no parameters"
                : command->most_parameters == 1 ? "one parameter"
                                                : command->parameters));
  } else {
    command->run(*this, words, std::move(done));
  }
}

void HumanCommands::Help(const Words& words, Done done) {
  std::string text;
  for (const Command& command : Commands()) {
    if (words.size() < 2 || words[1] == command.name || words[1] == command.alias) {
      text += Format("{}{}{}{}{} -- {}\n", command.name, command.alias.empty() ? "" : "|", command.alias,
                     command.parameters.empty() ? "" : " ", command.parameters, command.help);
    }
  }
  done(text.empty() ? UnknownText("command", words[1], Commands(), "help") : text);
}

void HumanCommands::Info(const Words& words, Done done) {
  if (words.size() < 2) {
    std::string text;
    for (const Topic& topic : Topics()) {
      text += Format("info {} -- {}\n", topic.name, topic.help);
    }
    done(std::move(text));
    return;
  }
  const Topic* topic = FindRow(Topics(), words[1]);
  if (topic != nullptr && topic->later != nullptr) {
    topic->later(*this, std::move(done));
    return;
  }
  done(topic == nullptr ? UnknownText("topic", words[1], Topics(), "info") : topic->text(*this));
}

void HumanCommands::Screendump(const Words& words, Done done) {
  ScreendumpRequest request;
  std::vector<std::string_view> plain;
  bool good = true;
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "-f") {
      plain.push_back(words[i]);
      continue;
    }
    const std::string_view format = ++i < words.size() ? words[i] : std::string_view();
    good = good && (format == "ppm" || format == "png");
    request.format = format == "png" ? PictureFormat::kPng : PictureFormat::kPpm;
  }
  if (plain.size() >= 2) {
    request.device = plain[1];
  }
  if (plain.size() >= 3) {
    const std::optional<uint64_t> head = ParseSize(plain[2], 1);
    good = good && head && *head <= std::numeric_limits<int32_t>::max();
    request.head = static_cast<int64_t>(head.value_or(0));
  }
  if (!good || plain.empty() || plain.size() > 3) {
    done("'screendump' takes a file's name, -f ppm or -f png, a device's id and its head\n");
    return;
  }
  request.filename = plain[0];
  display_.Screendump(request, ShowError(std::move(done)));
}

void HumanCommands::AddForward(const Words& words, Done done) {
  const std::string_view netdev = words.size() == 3 ? words[1] : std::string_view();
  net_.AddHostForward(netdev, words.size() < 2 ? std::string_view() : words.back(),
                      ShowError(std::move(done)));
}

// Says what became of it, as QEMU.
void HumanCommands::RemoveForward(const Words& words, Done done) {
  const std::string_view netdev = words.size() == 3 ? words[1] : std::string_view();
  const std::string rule(words.size() < 2 ? std::string_view() : words.back());
  net_.RemoveHostForward(netdev, rule, [rule, done = std::move(done)](const Result<>& result) {
    const bool missing = !result && result.error().code == Errc::kNotFound;
    done(result || missing
             ? Format("host forwarding rule for {} {}\n", rule, missing ? "not found" : "removed")
             : Format("Error: {}\n", result.error().message));
  });
}

std::string HumanCommands::SetBalloon(std::string_view mebibytes) {
  const std::optional<uint64_t> target = ParseSize(mebibytes, kMebibyte);
  if (!target || *target == 0) {
    return Format("'{}' is no size to leave the guest with; give it in MiB\n", mebibytes.substr(0, 64));
  }
  return balloon_.SetGuestMemoryTarget(*target) ? std::string() : std::string(kNoBalloon);
}

std::string HumanCommands::BalloonText() const {
  const std::optional<uint64_t> bytes = balloon_.GuestMemoryBytes();
  return bytes ? Format("balloon: actual={}\n", *bytes / kMebibyte) : std::string(kNoBalloon);
}

std::string HumanCommands::StatusText() const {
  const RunState state = lifecycle_.run_state();
  if (state == RunState::kRunning || state == RunState::kPaused) {
    return Format("VM status: {}\n", RunStateName(state));
  }
  return Format("VM status: paused ({})\n", RunStateName(state));
}

std::string HumanCommands::VersionText() const {
  const VersionFacts version = info_.version();
  return Format("{}.{}.{} ({})\n", version.major, version.minor, version.micro, version.package);
}

std::string HumanCommands::CpusText() const {
  std::string text;
  for (const CpuFacts& cpu : info_.Cpus()) {
    text += Format("{} CPU #{}: thread_id={}\n", cpu.index == 0 ? "*" : " ", cpu.index, cpu.thread_id);
  }
  return text;
}

std::string HumanCommands::Banner() const {
  return Format("{} monitor - type 'help' for more information", info_.version().package);
}

}  // namespace nandu
