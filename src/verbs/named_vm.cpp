#include "verbs/named_vm.h"

#include <boost/json/array.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include "base/json.h"
#include "base/time.h"
#include "verbs/message.h"
#include "verbs/qmp_client.h"
#include "verbs/vm_directory.h"

namespace nandu {
namespace {

Result<QmpClient> Monitor(const RunningVm& vm) {
  return Prefix(QmpClient::Connect(vm.File("qmp")), vm.record.name);
}
Result<QmpClient> MonitorOf(const std::string& name) {
  const RunningVm vm = TRY(FindVm(name));
  return Monitor(vm);
}

std::string Text(const boost::json::value& object, std::string_view key) {
  const boost::json::value* found = object.is_object() ? object.as_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "?";
}

// "running", "paused", or why nobody knows.
std::string StateOf(const RunningVm& vm) {
  Result<QmpClient> monitor = QmpClient::Connect(vm.File("qmp"), 2'000);
  if (!monitor) {
    return vm.pid == 0 ? "starting" : "not answering";
  }
  const auto status = monitor->Execute("query-status");
  return status ? Text(*status, "status") : "not answering";
}

std::string Since(int64_t started_s) {
  const int64_t s = std::max<int64_t>(std::time(nullptr) - started_s, 0);
  if (s < 3600) {
    return Format("{}:{:02}", s / 60, s % 60);
  }
  return s < 86400 ? Format("{}h{:02}m", s / 3600, s % 3600 / 60)
                   : Format("{}d{:02}h", s / 86400, s % 86400 / 3600);
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

Result<int> ListRunning(bool json) {
  const std::vector<RunningVm> vms = TRY(ListVms());
  if (json) {
    boost::json::array all;
    for (const RunningVm& vm : vms) {
      boost::json::object one = ToJson(TypeOf<VmRecord>(), &vm.record).as_object();
      one["pid"] = vm.pid;
      one["status"] = StateOf(vm);
      all.push_back(std::move(one));
    }
    Print(PrettyJsonText(all) + "\n");
    return 0;
  }
  Print(Format("{:<20} {:<14} {:>8} {:>8} {:>6}  {}\n", "NAME", "STATE", "PID", "UP", "SSH", "IMAGE"));
  for (const RunningVm& vm : vms) {
    const std::string ssh = vm.record.ssh_port ? Format("{}", *vm.record.ssh_port) : "-";
    Print(Format("{:<20} {:<14} {:>8} {:>8} {:>6}  {}\n", vm.record.name, StateOf(vm), vm.pid,
                 Since(vm.record.started_s), ssh, vm.record.image));
  }
  return 0;
}

Result<int> StopVm(const std::string& name, bool force, unsigned timeout_s) {
  const RunningVm vm = TRY(FindVm(name));
  QmpClient monitor = TRY(Monitor(vm));
  const Result<boost::json::value> asked = monitor.Execute(force ? "quit" : "system_powerdown");
  if (!asked && !monitor.WaitForEnd(0)) {
    return tl::unexpected<Error>(asked.error());
  }
  // Its monitor is closed some time before it has let go of its images.
  const int64_t until_ns = MonotonicNs() + int64_t{timeout_s} * 1'000'000'000;
  bool gone = monitor.WaitForEnd(static_cast<int>(timeout_s * 1000));
  while (gone && !IsGone(vm)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    gone = MonotonicNs() < until_ns;
  }
  if (!gone) {
    return Fail(Errc::kBusy,
                "{} did not power off within {} s; its guest may not listen to the power button: nandu stop "
                "--force {}",
                name, timeout_s, name);
  }
  return 0;
}

Result<int> PauseVm(const std::string& name) {
  QmpClient monitor = TRY(MonitorOf(name));
  TRY(monitor.Execute("stop"));
  return 0;
}

Result<int> ResumeVm(const std::string& name) {
  QmpClient monitor = TRY(MonitorOf(name));
  TRY(monitor.Execute("cont"));
  return 0;
}

Result<int> ShowVm(const std::string& name) {
  const RunningVm vm = TRY(FindVm(name));
  QmpClient monitor = TRY(Monitor(vm));
  const boost::json::value status = TRY(monitor.Execute("query-status"));
  const boost::json::value cpus = TRY(monitor.Execute("query-cpus-fast"));
  const VmRecord& record = vm.record;
  Print(Format("name     {}\nstate    {}\npid      {}\nup       {}\nimage    {}\ncpus     {}\nmemory   {}\n",
               record.name, Text(status, "status"), vm.pid, Since(record.started_s), record.image,
               cpus.is_array() ? cpus.as_array().size() : 0, record.memory));
  if (record.ssh_port) {
    Print(Format("ssh      ssh -p {} {}127.0.0.1\n", *record.ssh_port,
                 record.user.empty() ? "" : record.user + "@"));
  }
  Print(Format("console  {}\nmonitor  {}\n",
               record.console_is_socket ? Format("nandu console {}", name)
                                        : std::string("the terminal it was started from"),
               vm.File("qmp")));
  return 0;
}

Result<int> SaveScreen(const std::string& name, const std::string& file) {
  const bool png = file.ends_with(".png");
  if (!png && !file.ends_with(".ppm")) {
    return Fail(Errc::kInvalidArgument, "{}: a screenshot is a .png or a .ppm file", file);
  }
  QmpClient monitor = TRY(MonitorOf(name));
  TRY(monitor.Execute("screendump", {{"filename", std::filesystem::absolute(file).string()},
                                     {"format", png ? "png" : "ppm"}}));
  return 0;
}

Result<int> SendQmp(const std::string& name, const std::string& command) {
  QmpClient monitor = TRY(MonitorOf(name));
  if (!command.starts_with('{')) {
    const boost::json::value returned = TRY(monitor.Execute(command));
    Print(PrettyJsonText(returned) + "\n");
    return 0;
  }
  const boost::json::value whole = TRY(Prefix(ParseJson(command), "the command"));
  const boost::json::value answer = TRY(monitor.Send(JsonText(whole)));
  Print(PrettyJsonText(answer) + "\n");
  return answer.as_object().contains("error") ? 1 : 0;
}

}  // namespace nandu
