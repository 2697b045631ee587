// human-monitor-command: the human monitor's commands through QMP. Control loop.
#pragma once

namespace nandu {

class HumanCommands;
class QmpRegistry;

void BindHumanCommands(QmpRegistry& registry, HumanCommands& commands);  // `commands` outlives the registry

}  // namespace nandu
