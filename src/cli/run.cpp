#include "cli/run.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/log_style.h"
#include "base/thread_name.h"
#include "base/trace.h"
#include "cli/config_builder.h"
#include "cli/daemonize.h"
#include "cli/pid_file.h"
#include "gdb/server.h"
#include "loop/control_loop.h"
#include "machine/machine.h"
#include "qmp/monitors.h"
#include "sandbox/limits.h"

namespace nandu {
namespace {

constexpr int kFailed = 1;

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void Complain(std::string_view text) {
  std::fprintf(stderr, "%snandu: %.*s\n", MessagePrefix().c_str(), static_cast<int>(text.size()),
               text.data());
}

// Requests hang in the kernel: the machine cannot be taken apart. The kernel keeps the pages that a request
// writes to when the process ends; a thread that waits for one may keep the process until then.
[[noreturn]] void EndAsItStands(Machine& machine, PidFile pid_file, int status) {
  machine.ReleaseHost();
  pid_file.Remove();
  std::fflush(nullptr);
  std::_Exit(status);
}

Result<> StartLogging(const MachineConfig& config) {
  if (!config.log_file.empty()) {
    TRY(SetLogFile(config.log_file));
  }
  if (config.log_every_guest_error) {
    LogWithoutLimit();
  }
  if (!config.trace.file.empty()) {
    TRY(Prefix(SetTraceFile(config.trace.file), "-trace"));
  }
  for (const std::string& pattern : config.trace.patterns) {
    EnableTrace(pattern);  // one that names nothing was told when it was parsed
  }
  for (const std::string& path : config.trace.event_files) {
    std::string unknown;
    TRY(Prefix(EnableTraceFile(path, &unknown), "-trace events="));
    if (!unknown.empty()) {
      Log(LogLevel::kWarning, "-trace events={}: there is no trace event {}", path, unknown);
    }
  }
  return {};
}

Result<int> RunMachine(const MachineConfig& config) {
  TRY(StartLogging(config));
  TRY(RaiseFileLimit());
  KeepThreadNames(config.debug_threads);
  if (!config.process_name.empty()) {
    NameProcess(config.process_name);
  }
  std::optional<Daemon> daemon;
  if (config.daemonize) {
    daemon = TRY(Daemon::Fork());
  }
  PidFile pid_file;
  if (!config.pidfile.empty()) {
    pid_file = TRY(PidFile::Create(config.pidfile));
  }
  const std::unique_ptr<ControlLoop> loop = TRY(ControlLoop::Create());
  const std::unique_ptr<Machine> machine = TRY(Machine::Create(*loop, config));
  const std::unique_ptr<Monitors> monitors = TRY(Monitors::Create(*loop, *machine, config));
  const std::unique_ptr<GdbServer> gdb =
      config.gdb.empty() ? nullptr : TRY(GdbServer::Create(*machine, config.gdb));
  constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP};
  loop->OnSignals(kSignals, [&machine](int signal) { machine->TerminateBySignal(signal); });
  if (daemon) {
    TRY(daemon->Ready());
  }
  machine->Start();
  loop->Run();
  if (machine->stuck()) {
    EndAsItStands(*machine, std::move(pid_file), machine->exit_status());
  }
  return machine->exit_status();
}

}  // namespace

int RunCommandLine(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = ParseCommandLine(arguments);
  if (!line) {
    Complain(line.error().message);
    return kFailed;
  }
  if (line->answer) {
    Print(*line->answer);
    return 0;
  }
  if (const MachineConfig& config = line->config; config.msg_timestamp || config.msg_guest_name) {
    SetMessageStyle({config.msg_timestamp, config.msg_guest_name ? config.name : std::string()});
  }
  for (const std::string& note : line->notes) {
    Complain(note);
  }
  const Result<int> status = RunMachine(line->config);
  if (!status) {
    Complain(status.error().message);
    return kFailed;
  }
  return *status;
}

}  // namespace nandu
