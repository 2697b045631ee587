#include "qmp/commands/human.h"

#include "qmp/human_commands.h"
#include "qmp/registry.h"

namespace nandu {

struct HumanMonitorCommandArgs {
  std::string command_line;
};
BOOST_DESCRIBE_STRUCT(HumanMonitorCommandArgs, (), (command_line))

void BindHumanCommands(QmpRegistry& registry, HumanCommands& commands) {
  registry.Bind<HumanMonitorCommandArgs, std::string>(
      "human-monitor-command", [&commands](const HumanMonitorCommandArgs& args, Reply<std::string> reply) {
        commands.Execute(args.command_line, [reply = std::move(reply)](std::string text) mutable {
          for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
            text.insert(at, 1, '\r');  // as QEMU's monitor answers
          }
          reply.Return(text);
        });
      });
}

}  // namespace nandu
