// Commands for a VM that runs already, found by its name. Each answers the exit status.
#pragma once

#include <string>

#include "base/result.h"

namespace nandu {

Result<int> ListRunning(bool json);                                           // nandu ps
Result<int> StopVm(const std::string& name, bool force, unsigned timeout_s);  // power button, or at once
Result<int> PauseVm(const std::string& name);
Result<int> ResumeVm(const std::string& name);
Result<int> ShowVm(const std::string& name);                               // nandu info
Result<int> SaveScreen(const std::string& name, const std::string& file);  // .png or .ppm
// A command's name, or a whole command in JSON; prints what was returned.
Result<int> SendQmp(const std::string& name, const std::string& command);
// Joins this terminal to the VM's serial console, until Ctrl-].
Result<int> JoinConsole(const std::string& name);

}  // namespace nandu
