// The monitors of a VM, as its configuration lists them: QMP sessions on one server, and human monitors.
// Control loop.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "machine/config.h"
#include "machine/machine.h"
#include "qmp/human_monitor.h"
#include "qmp/server.h"

namespace nandu {

class Monitors {
 public:
  static Result<std::unique_ptr<Monitors>> Create(ControlLoop& loop, Machine& machine,
                                                  const MachineConfig& config);
  ~Monitors();  // before the machine: its events end here
  Monitors(const Monitors&) = delete;
  Monitors& operator=(const Monitors&) = delete;

 private:
  Monitors(ControlLoop& loop, Machine& machine);
  Machine& machine_;
  std::unique_ptr<HumanCommands> commands_;  // the server's registry knows it
  QmpServer server_;
  std::vector<std::unique_ptr<HumanMonitor>> humans_;
};

}  // namespace nandu
