// -d and -trace: what is said of a VM's inside.

#include <algorithm>

#include "base/trace.h"
#include "cli/builder.h"

namespace nandu {
namespace {

// QEMU's items that tell of translated code, and of processor events that KVM does not report.
constexpr std::string_view kTranslators[] = {"out_asm", "in_asm", "op",     "op_opt",    "op_ind", "int",
                                             "exec",    "cpu",    "fpu",    "mmu",       "pcall",  "page",
                                             "nochain", "plugin", "strace", "cpu_reset", "tid"};

std::string LogItemsHelp() {
  return "Log items (comma separated):\n"
         "guest_errors    every fault of a guest is a line; by default one a second and device\n"
         "trace:PATTERN   enable trace events\n"
         "\n"
         "Use \"-d trace:help\" to get a list of trace events.\n";
}

std::string TraceHelp() {
  std::string text;
  for (const std::string_view name : TraceNames()) {
    text += Format("{}\n", name);
  }
  return text;
}

bool NamesAnEvent(std::string_view pattern) {
  return pattern.find_first_of("*?") != std::string_view::npos ||
         std::ranges::find(TraceNames(), pattern) != TraceNames().end();
}

}  // namespace

Result<> Builder::LogItems(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(LogItemsHelp());
  }
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    if (item == "trace:help" || item == "trace:?") {
      return Answer(TraceHelp());
    }
    if (item.starts_with("trace:")) {
      TracePattern(item.substr(std::string_view("trace:").size()));
    } else if (item == "guest_errors") {
      config_.log_every_guest_error = true;
    } else if (item == "unimp") {
      return Fail(Errc::kUnsupported,
                  "item 'unimp': what no device answers reads as ones here, and no line is written");
    } else if (std::ranges::find(kTranslators, item) != std::end(kTranslators)) {
      return Fail(Errc::kUnsupported,
                  "item '{}' tells of QEMU's translator; known here: guest_errors, trace:PATTERN", item);
    } else {
      return Fail(Errc::kInvalidArgument, "there is no log item '{}'; known: guest_errors, trace:PATTERN",
                  item);
    }
  }
  return {};
}

Result<> Builder::TraceOption(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(TraceHelp());
  }
  const std::vector<KeyValue> items = TRY(ParseKeyValues(text, "enable"));
  for (const KeyValue& item : items) {
    if (item.key == "enable") {
      TracePattern(item.value);
    } else if (item.key == "events") {
      config_.trace.event_files.push_back(item.value);
    } else if (item.key == "file") {
      config_.trace.file = item.value;
    } else {
      return Fail(Errc::kInvalidArgument, "unknown property '{}'; known: enable, events, file", item.key);
    }
  }
  return {};
}

void Builder::TracePattern(std::string_view pattern) {
  if (!NamesAnEvent(pattern)) {
    // As in QEMU: events come and go with versions, and the VM starts.
    out_.notes.push_back(Format("warning: there is no trace event '{}'; '-trace help' lists them", pattern));
  }
  config_.trace.patterns.emplace_back(pattern);
}

}  // namespace nandu
