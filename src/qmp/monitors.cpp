#include "qmp/monitors.h"

#include <boost/json.hpp>
#include <ctime>

#include "base/number_text.h"
#include "qmp/commands/balloon.h"
#include "qmp/commands/block.h"
#include "qmp/commands/descriptors.h"
#include "qmp/commands/display.h"
#include "qmp/commands/human.h"
#include "qmp/commands/machine.h"
#include "qmp/commands/media.h"
#include "qmp/commands/network.h"

namespace nandu {
namespace {

int64_t RealtimeNs() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// Whether others share the chardev: then nothing is shown before the monitor has the input.
bool IsShared(const MachineConfig& config, const std::string& id) {
  for (const ChardevConfig& chardev : config.chardevs) {
    if (chardev.id == id) {
      const boost::json::value* mux = chardev.options.values.if_contains("mux");
      const bool by_option =
          mux != nullptr && (mux->is_bool() ? mux->as_bool() : ParseSwitch(mux->as_string()).value_or(false));
      return chardev.mux || by_option;
    }
  }
  return false;
}

}  // namespace

Monitors::Monitors(ControlLoop& loop, Machine& machine)
    : machine_(machine),
      commands_(std::make_unique<HumanCommands>(machine, machine, machine, machine, machine)),
      server_(VersionInfoOf(machine.version()), RealtimeNs,
              [&loop](UniqueFunction<void()> fire) { return loop.CreateHostTimer(std::move(fire)); }) {}

Monitors::~Monitors() { machine_.SetEventSink(nullptr); }

Result<std::unique_ptr<Monitors>> Monitors::Create(ControlLoop& loop, Machine& machine,
                                                   const MachineConfig& config) {
  std::unique_ptr<Monitors> monitors(new Monitors(loop, machine));
  BindMachineCommands(monitors->server_.registry(), machine, machine);
  BindBalloonCommands(monitors->server_.registry(), machine);
  BindBlockCommands(monitors->server_.registry(), machine);
  BindDescriptorCommands(monitors->server_.registry(), machine);
  BindMediaCommands(monitors->server_.registry(), machine.media());
  BindDisplayCommands(monitors->server_.registry(), machine);
  DeclareNetworkEvents(monitors->server_.registry());
  BindHumanCommands(monitors->server_.registry(), *monitors->commands_);
  machine.SetEventSink([server = &monitors->server_](std::string_view name, const boost::json::object& data) {
    server->Emit(name, data);
  });
  for (const MonitorConfig& monitor : config.monitors) {
    std::shared_ptr<Chardev> chardev =
        TRY(machine.ClaimChardev(monitor.chardev, monitor.qmp ? "QMP" : "the monitor"));
    if (monitor.qmp) {
      TRY(monitors->server_.AddSession(std::move(chardev), monitor.pretty));
    } else {
      auto human = std::make_unique<HumanMonitor>(*monitors->commands_, std::move(chardev),
                                                  IsShared(config, monitor.chardev));
      TRY(human->Start());
      monitors->humans_.push_back(std::move(human));
    }
  }
  return monitors;
}

}  // namespace nandu
