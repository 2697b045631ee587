// screendump, through QMP and the human monitor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/commands/display.h"
#include "qmp/commands/human.h"
#include "qmp/human_commands.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"
#include "unit/qmp/fake_timer.h"

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kDone = "{\"return\": {}}\r\n";

class DisplayCommands : public ::testing::Test {
 protected:
  DisplayCommands() {
    BindDisplayCommands(server.registry(), machine);
    BindHumanCommands(server.registry(), human);
    EXPECT_TRUE(server.AddSession(chardev).has_value());
    chardev->Type(R"({"execute": "qmp_capabilities"})");
    chardev->TakeWritten();
  }
  std::string Say(std::string_view line) {
    chardev->Type(line);
    return chardev->TakeWritten();
  }
  std::string Screendump(std::string_view arguments) {
    return Say(Format(R"({{"execute": "screendump", "arguments": {{{}}}}})", arguments));
  }
  std::string SayToHuman(std::string_view line) {
    return Say(Format(
        "{{\"execute\": \"human-monitor-command\", \"arguments\": {{\"command-line\": \"{}\"}}}}", line));
  }

  FakeMachine machine;
  FakeTimers timers;
  HumanCommands human{machine, machine, machine, machine, machine};
  QmpServer server{VersionInfoOf(machine.version()), [] { return int64_t{0}; }, timers.maker()};
  std::shared_ptr<FakeChardev> chardev = std::make_shared<FakeChardev>();
};

TEST_F(DisplayCommands, TheFirstScreenIsWrittenAsPpm) {
  EXPECT_EQ(Screendump(R"("filename": "/tmp/a.ppm")"), kDone);
  EXPECT_EQ(Screendump(R"("filename": "b", "device": "v", "head": 0, "format": "png")"), kDone);
  EXPECT_THAT(machine.calls,
              ElementsAre("screendump /tmp/a.ppm of the first/0 as ppm", "screendump b of v/0 as png"));
}

TEST_F(DisplayCommands, TheAnswerComesWhenTheFileIsThere) {
  machine.answer_later = true;
  EXPECT_EQ(Screendump(R"("filename": "a")"), "");
  machine.FinishPending(Fail(Errc::kIo, "cannot write a: No space left on device"));
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("No space left"));
}

TEST_F(DisplayCommands, WrongOnesSayWhy) {
  EXPECT_THAT(Screendump(R"("filename": "a", "device": "absent")"),
              HasSubstr(R"("class": "DeviceNotFound", "desc": "there is no device 'absent'")"));
  EXPECT_THAT(Screendump(R"("filename": "a", "head": 0)"), HasSubstr("'head' belongs to a 'device'"));
  EXPECT_THAT(Screendump(R"("filename": "a", "format": "bmp")"), HasSubstr("bmp"));
  EXPECT_THAT(Screendump(R"("device": "v")"), HasSubstr("filename"));
}

TEST_F(DisplayCommands, TheHumanMonitorTakesQemusWords) {
  EXPECT_EQ(SayToHuman("screendump a.ppm"), "{\"return\": \"\"}\r\n");
  EXPECT_EQ(SayToHuman("screendump a.png -f png v 1"), "{\"return\": \"\"}\r\n");
  EXPECT_THAT(machine.calls,
              ElementsAre("screendump a.ppm of the first/0 as ppm", "screendump a.png of v/1 as png"));
  EXPECT_THAT(SayToHuman("screendump"), HasSubstr("takes a file's name"));
  EXPECT_THAT(SayToHuman("screendump a -f bmp"), HasSubstr("-f ppm or -f png"));
  EXPECT_THAT(SayToHuman("screendump a v x"), HasSubstr("its head"));
  EXPECT_THAT(SayToHuman("screendump a absent"), HasSubstr("there is no device 'absent'"));
  EXPECT_THAT(SayToHuman("screendump a b 0 -f png more"), HasSubstr("takes filename [-f format]"));
}

}  // namespace
}  // namespace nandu::testing
