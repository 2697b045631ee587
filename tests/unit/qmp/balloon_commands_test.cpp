// The memory balloon's commands, through QMP and the human monitor, and its event.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/commands/balloon.h"
#include "qmp/commands/human.h"
#include "qmp/human_commands.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"
#include "unit/qmp/fake_timer.h"

namespace nandu::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kDone = "{\"return\": {}}\r\n";
constexpr uint64_t kMebibyte = 1 << 20;

class BalloonCommands : public ::testing::Test {
 protected:
  BalloonCommands() {
    BindBalloonCommands(server.registry(), machine);
    BindHumanCommands(server.registry(), human);
    EXPECT_TRUE(server.AddSession(chardev).has_value());
    chardev->Type(R"({"execute": "qmp_capabilities"})");
    chardev->TakeWritten();
  }
  std::string Say(std::string_view line) {
    chardev->Type(line);
    return chardev->TakeWritten();
  }
  std::string SayToHuman(std::string_view line) {
    return Say(Format(
        "{{\"execute\": \"human-monitor-command\", \"arguments\": {{\"command-line\": \"{}\"}}}}", line));
  }
  std::string EmitChange(int64_t bytes) {
    server.Emit("BALLOON_CHANGE", {{"actual", bytes}});
    return chardev->TakeWritten();
  }

  FakeMachine machine;
  FakeTimers timers;
  HumanCommands human{machine, machine, machine, machine, machine};
  QmpServer server{VersionInfoOf(machine.version()), [] { return int64_t{0}; }, timers.maker()};
  std::shared_ptr<FakeChardev> chardev = std::make_shared<FakeChardev>();
};

TEST_F(BalloonCommands, SizesAreBytes) {
  machine.guest_memory_bytes = 512 * kMebibyte;
  EXPECT_EQ(Say(R"({"execute": "query-balloon"})"), "{\"return\": {\"actual\": 536870912}}\r\n");
  EXPECT_EQ(Say(R"({"execute": "balloon", "arguments": {"value": 268435456}})"), kDone);
  EXPECT_EQ(machine.guest_memory_target, 256 * kMebibyte);
}

TEST_F(BalloonCommands, WithoutABalloonNoneIsActive) {
  const auto not_active = HasSubstr("\"class\": \"DeviceNotActive\"");
  EXPECT_THAT(Say(R"({"execute": "query-balloon"})"), not_active);
  EXPECT_THAT(Say(R"({"execute": "balloon", "arguments": {"value": 1}})"), not_active);
  EXPECT_THAT(Say(R"({"execute": "balloon", "arguments": {"value": 0}})"), not_active);
  EXPECT_THAT(SayToHuman("info balloon"), HasSubstr("there is no memory balloon"));
  EXPECT_THAT(SayToHuman("balloon 100"), HasSubstr("there is no memory balloon"));
}

TEST_F(BalloonCommands, NoGuestLivesWithoutMemory) {
  machine.guest_memory_bytes = 512 * kMebibyte;
  EXPECT_THAT(Say(R"({"execute": "balloon", "arguments": {"value": 0}})"),
              HasSubstr("\"class\": \"GenericError\", \"desc\": \"arguments.value: 0 bytes"));
  EXPECT_THAT(Say(R"({"execute": "balloon", "arguments": {"value": -1}})"), HasSubstr("-1 bytes"));
  EXPECT_THAT(SayToHuman("balloon 0"), HasSubstr("'0' is no size"));
  EXPECT_THAT(SayToHuman("balloon some"), HasSubstr("'some' is no size"));
  EXPECT_THAT(SayToHuman("balloon"), HasSubstr("'' is no size"));
  EXPECT_EQ(machine.guest_memory_target, 0U);
}

TEST_F(BalloonCommands, TheHumanMonitorCountsInMebibytes) {
  machine.guest_memory_bytes = 512 * kMebibyte;
  EXPECT_EQ(SayToHuman("info balloon"), "{\"return\": \"balloon: actual=512\\r\\n\"}\r\n");
  EXPECT_EQ(SayToHuman("balloon 256"), "{\"return\": \"\"}\r\n");
  EXPECT_EQ(machine.guest_memory_target, 256 * kMebibyte);
}

TEST_F(BalloonCommands, ChangesAreToldOnceASecond) {
  EXPECT_THAT(EmitChange(1), HasSubstr("\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 1}"));
  EXPECT_EQ(timers.armed_ns(), 1'000'000'000);
  EXPECT_EQ(EmitChange(2), "");
  EXPECT_EQ(EmitChange(3), "");
  timers.Fire();
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("\"data\": {\"actual\": 3}"));
  EXPECT_EQ(EmitChange(4), "");  // the next interval runs
  timers.Fire();
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("\"data\": {\"actual\": 4}"));
  timers.Fire();
  EXPECT_EQ(chardev->TakeWritten(), "");
  EXPECT_EQ(timers.armed_ns(), 0);
  EXPECT_THAT(EmitChange(5), HasSubstr("\"data\": {\"actual\": 5}"));
}

}  // namespace
}  // namespace nandu::testing
