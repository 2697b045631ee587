// block_resize and BLOCK_IO_ERROR through QMP.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/commands/block.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"
#include "unit/qmp/fake_timer.h"

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BlockCommands : public ::testing::Test {
 protected:
  BlockCommands() {
    BindBlockCommands(server.registry(), machine);
    EXPECT_TRUE(server.AddSession(chardev).has_value());
    chardev->Type(R"({"execute": "qmp_capabilities"})");
    chardev->TakeWritten();
  }
  std::string Resize(const std::string& arguments) {
    chardev->Type(Format("{{\"execute\": \"block_resize\", \"arguments\": {{{}}}}}", arguments));
    return chardev->TakeWritten();
  }

  FakeMachine machine;
  FakeTimers timers;
  QmpServer server{VersionInfoOf(machine.version()), [] { return int64_t{0}; }, timers.maker()};
  std::shared_ptr<FakeChardev> chardev = std::make_shared<FakeChardev>();
};

TEST_F(BlockCommands, DiskIsNamedByDriveOrByNode) {
  EXPECT_EQ(Resize(R"("device": "drive0", "size": 4096)"), "{\"return\": {}}\r\n");
  EXPECT_EQ(Resize(R"("node-name": "disk0", "size": 0)"), "{\"return\": {}}\r\n");
  EXPECT_THAT(machine.calls, ElementsAre("resize drive0 4096", "resize disk0 0"));
}

TEST_F(BlockCommands, AnswerWaitsForTheImage) {
  machine.answer_later = true;
  EXPECT_EQ(Resize(R"("device": "drive0", "size": 4096)"), "");
  machine.FinishPending(Fail(Errc::kBusy, "drive0: it is read-only"));
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("drive0: it is read-only"));
}

TEST_F(BlockCommands, NonsenseIsRefused) {
  EXPECT_THAT(Resize(R"("size": 4096)"), HasSubstr("either 'device' or 'node-name'"));
  EXPECT_THAT(Resize(R"("device": "a", "node-name": "b", "size": 1)"), HasSubstr("either 'device'"));
  EXPECT_THAT(Resize(R"("device": "a", "size": -1)"), HasSubstr("-1 bytes is no size"));
  EXPECT_TRUE(machine.calls.empty());
}

// As QEMU 7.2 writes it, member for member.
TEST_F(BlockCommands, ErrorEventIsQemus) {
  server.Emit("BLOCK_IO_ERROR", {{"device", ""},
                                 {"node-name", "disk0"},
                                 {"operation", "write"},
                                 {"action", "stop"},
                                 {"nospace", true},
                                 {"reason", "No space left on device"}});
  EXPECT_THAT(
      chardev->TakeWritten(),
      HasSubstr("\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"\", \"node-name\": \"disk0\", "
                "\"operation\": \"write\", \"action\": \"stop\", \"nospace\": true, "
                "\"reason\": \"No space left on device\"}"));
}

}  // namespace
}  // namespace nandu::testing
