#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "qmp/commands/human.h"
#include "qmp/commands/machine.h"
#include "qmp/human_commands.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace json = boost::json;

class MachineCommands : public ::testing::Test {
 protected:
  MachineCommands() {
    BindMachineCommands(server.registry(), machine, machine);
    BindHumanCommands(server.registry(), human);
    EXPECT_TRUE(server.AddSession(chardev).has_value());
    chardev->Type(R"({"execute": "qmp_capabilities"})");
    chardev->TakeWritten();
  }
  std::string Ask(std::string_view command) {
    chardev->Type(Format("{{\"execute\": \"{}\"}}", command));
    return chardev->TakeWritten();
  }
  json::array Schema() {
    const json::value line = *ParseJson(Ask("query-qmp-schema"));
    return line.as_object().at("return").as_array();
  }
  // The schema's entry of that name.
  std::string Entry(const json::array& schema, std::string_view name) {
    for (const json::value& entry : schema) {
      if (entry.as_object().at("name").as_string() == name) {
        return JsonText(entry);
      }
    }
    return "none";
  }
  // The entry of the type that an entry names.
  std::string TypeEntry(const json::array& schema, std::string_view name, std::string_view member) {
    const json::value entry = *ParseJson(Entry(schema, name));
    return Entry(schema, entry.as_object().at(member).as_string());
  }

  FakeMachine machine;
  HumanCommands human{machine, machine, machine};
  QmpServer server{VersionInfoOf(machine.version()), [] { return int64_t{0}; }, nullptr};
  std::shared_ptr<FakeChardev> chardev = std::make_shared<FakeChardev>();
};

TEST_F(MachineCommands, QueriesHaveQemusFields) {
  EXPECT_EQ(Ask("query-status"),
            "{\"return\": {\"running\": true, \"singlestep\": false, \"status\": \"running\"}}\r\n");
  EXPECT_EQ(Ask("query-version"),
            "{\"return\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \"package\": \"nandu "
            "0.1.0\"}}\r\n");
  EXPECT_EQ(Ask("query-name"), "{\"return\": {\"name\": \"vm1\"}}\r\n");
  EXPECT_EQ(Ask("query-uuid"), "{\"return\": {\"UUID\": \"00000000-0000-0000-0000-000000000000\"}}\r\n");
  EXPECT_EQ(Ask("query-kvm"), "{\"return\": {\"enabled\": true, \"present\": true}}\r\n");
}

TEST_F(MachineCommands, CpusHaveTheirThreadsAndPlaces) {
  EXPECT_EQ(
      Ask("query-cpus-fast"),
      "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/machine/unattached/device[0]\", \"thread-id\": 100, "
      "\"props\": "
      "{\"socket-id\": 0, \"core-id\": 0, \"thread-id\": 0}, \"target\": \"x86_64\"}, {\"cpu-index\": 1, "
      "\"qom-path\": "
      "\"/machine/unattached/device[2]\", \"thread-id\": 101, \"props\": {\"socket-id\": 0, \"core-id\": 1, "
      "\"thread-id\": 0}, \"target\": \"x86_64\"}]}\r\n");
}

TEST_F(MachineCommands, LifecycleCommandsReachTheMachine) {
  for (const std::string_view command : {"stop", "cont", "system_reset", "system_powerdown", "quit"}) {
    EXPECT_EQ(Ask(command), "{\"return\": {}}\r\n");
  }
  EXPECT_THAT(machine.calls, ElementsAre("stop", "cont", "reset", "powerdown", "quit"));
}

TEST_F(MachineCommands, AFailedStopIsAGenericErrorWithItsSentence) {
  machine.answer_later = true;
  EXPECT_EQ(Ask("stop"), "");
  machine.FinishPending(Fail(Errc::kBusy, "requests in flight did not finish in time"));
  EXPECT_EQ(chardev->TakeWritten(),
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"requests in flight did not finish in "
            "time\"}}\r\n");
}

TEST_F(MachineCommands, HumanMonitorCommandAnswersText) {
  chardev->Type(R"({"execute":"human-monitor-command","arguments":{"command-line":"info status"}})");
  EXPECT_EQ(chardev->TakeWritten(), "{\"return\": \"VM status: running\\r\\n\"}\r\n");
}

TEST_F(MachineCommands, QueryCommandsListsThemAll) {
  const std::string list = Ask("query-commands");
  for (const std::string_view command :
       {"qmp_capabilities", "query-commands", "query-qmp-schema", "query-status", "quit"}) {
    EXPECT_THAT(list, HasSubstr(Format("{{\"name\": \"{}\"}}", command)));
  }
}

// ---- the schema: entries as QEMU 7.2 writes them, but for the numbers of types ----

TEST_F(MachineCommands, SchemaOfACommandAndItsReply) {
  const json::array schema = Schema();
  EXPECT_THAT(Entry(schema, "query-version"), HasSubstr("\"meta-type\": \"command\""));
  EXPECT_THAT(TypeEntry(schema, "query-version", "arg-type"),
              HasSubstr("\"meta-type\": \"object\", \"members\": []"));
  EXPECT_THAT(TypeEntry(schema, "query-version", "ret-type"),
              HasSubstr("{\"name\": \"package\", \"type\": \"str\"}"));
  EXPECT_THAT(TypeEntry(schema, "query-name", "ret-type"),
              HasSubstr("\"members\": [{\"name\": \"name\", \"type\": \"str\", \"default\": null}]"));
  EXPECT_THAT(TypeEntry(schema, "query-cpus-fast", "ret-type"),
              HasSubstr("\"meta-type\": \"array\", \"element-type\": "));
  EXPECT_EQ(Entry(schema, "int"), R"({"name": "int", "meta-type": "builtin", "json-type": "int"})");
}

TEST_F(MachineCommands, SchemaOfAnEvent) {
  const json::array schema = Schema();
  EXPECT_THAT(Entry(schema, "SHUTDOWN"), HasSubstr("\"meta-type\": \"event\""));
  EXPECT_THAT(TypeEntry(schema, "SHUTDOWN", "arg-type"),
              HasSubstr("{\"name\": \"guest\", \"type\": \"bool\"}"));
}

TEST_F(MachineCommands, EveryTypeTheSchemaNamesIsThereOnce) {
  const json::array schema = Schema();
  std::vector<std::string> names;
  std::vector<std::string> named;
  for (const json::value& value : schema) {
    const json::object& entry = value.as_object();
    names.emplace_back(entry.at("name").as_string());
    for (const char* member : {"arg-type", "ret-type", "element-type"}) {
      if (const json::value* type = entry.if_contains(member)) {
        named.emplace_back(type->as_string());
      }
    }
  }
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
  for (const std::string& type : named) {
    EXPECT_TRUE(std::binary_search(sorted.begin(), sorted.end(), type)) << type;
  }
}

TEST_F(MachineCommands, ActionsChangeThatAreNamed) {
  chardev->Type(R"({"execute": "set-action", "arguments": {"reboot": "shutdown", "panic": "exit-failure"}})");
  EXPECT_EQ(chardev->TakeWritten(), "{\"return\": {}}\r\n");
  EXPECT_EQ(machine.actions.reboot, RebootAction::kShutdown);
  EXPECT_EQ(machine.actions.panic, PanicAction::kExitFailure);
  EXPECT_FALSE(machine.actions.shutdown || machine.actions.watchdog);
  chardev->Type(R"({"execute": "watchdog-set-action", "arguments": {"action": "inject-nmi"}})");
  EXPECT_EQ(chardev->TakeWritten(), "{\"return\": {}}\r\n");
  EXPECT_EQ(machine.actions.watchdog, WatchdogAction::kInjectNmi);
  chardev->Type(R"({"execute": "set-action", "arguments": {"shutdown": "poweroff"}})");
  EXPECT_EQ(chardev->TakeWritten(), "{\"return\": {}}\r\n");
  EXPECT_EQ(machine.actions.shutdown, ShutdownAction::kPowerOff);
  chardev->Type(R"({"execute": "set-action", "arguments": {"panic": "bogus"}})");
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("GenericError"));
}

TEST_F(MachineCommands, NmiButtonIsPressed) {
  EXPECT_EQ(Ask("inject-nmi"), "{\"return\": {}}\r\n");
  EXPECT_THAT(machine.calls, ElementsAre("nmi"));
}

TEST_F(MachineCommands, GenerationIdIsToldWhereThereIsOne) {
  EXPECT_EQ(Ask("query-vm-generation-id"),
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"VM Generation ID device not "
            "found\"}}\r\n");
  machine.generation_guid = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87";
  EXPECT_EQ(Ask("query-vm-generation-id"),
            "{\"return\": {\"guid\": \"324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87\"}}\r\n");
}

}  // namespace
}  // namespace nandu::testing
