// block_resize and BLOCK_IO_ERROR through QMP.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
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

// Member for member what QEMU 7.2 answers for a file that one disk uses and a drive that none does.
TEST_F(BlockCommands, DisksAreToldAsQemuTellsThem) {
  BlockFacts disk;
  disk.qdev = "/machine/peripheral/disk0/virtio-backend";
  disk.io_status = BlockIoStatus::kNospace;
  disk.image.emplace();
  disk.image->node_name = "f";
  disk.image->driver = "file";
  disk.image->filename = "d.raw";
  disk.image->size_bytes = 1048576;
  disk.image->detect_zeroes = "off";
  BlockFacts unused = disk;
  unused.drive = "dd";
  unused.qdev.reset();
  unused.io_status.reset();
  unused.removable = true;
  BlockFacts empty;
  empty.drive = "cd";
  empty.qdev = "/machine/peripheral/cd0";
  empty.io_status = BlockIoStatus::kOk;
  empty.removable = true;
  empty.locked = true;
  empty.tray_open = true;
  machine.blocks = {disk, unused, empty};
  chardev->Type(R"({"execute": "query-block"})");
  const boost::json::value answer = *ParseJson(chardev->TakeWritten());
  boost::json::value told = *ParseJson(R"([{"io-status": "nospace", "device": "", "locked": false,
    "removable": false, "inserted": {"iops_rd": 0, "detect_zeroes": "off", "image": {"virtual-size": 1048576,
    "filename": "d.raw", "format": "file", "actual-size": 0, "dirty-flag": false}, "iops_wr": 0, "ro": false,
    "node-name": "f", "backing_file_depth": 0, "drv": "file", "iops": 0, "bps_wr": 0, "write_threshold": 0,
    "encrypted": false, "bps": 0, "bps_rd": 0, "cache": {"no-flush": false, "direct": false,
    "writeback": true}, "file": "d.raw"}, "qdev": "/machine/peripheral/disk0/virtio-backend",
    "type": "unknown"}])");
  boost::json::object second = told.as_array()[0].as_object();
  second["device"] = "dd";
  second["removable"] = true;
  second.erase("qdev");
  second.erase("io-status");
  told.as_array().push_back(second);
  told.as_array().push_back(*ParseJson(R"({"io-status": "ok", "device": "cd", "locked": true, "removable": true,
    "qdev": "/machine/peripheral/cd0", "tray_open": true, "type": "unknown"})"));
  EXPECT_EQ(answer.as_object().at("return"), told) << JsonText(answer);
}

}  // namespace
}  // namespace nandu::testing
