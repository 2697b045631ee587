#include "qmp/human_commands.h"

#include <algorithm>
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
};

struct HumanCommands::Topic {
  std::string_view name;
  std::string_view help;
  std::string (*text)(const HumanCommands& self);
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
  } else if (words.size() > (command->parameters.empty() ? 1U : 2U)) {
    done(Format("'{}' takes {}\n", command->name,
                command->parameters.empty() ? "no parameters" : "one parameter"));
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
  done(topic == nullptr ? UnknownText("topic", words[1], Topics(), "info") : topic->text(*this));
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
