#include "chardev/mux.h"

#include <gtest/gtest.h>

#include "chardev/chardev_test_support.h"
#include "support/fake_chardev.h"

namespace nandu {
namespace {

struct MuxTest : testing::Test {
  const std::shared_ptr<FakeChardev> base = std::make_shared<FakeChardev>("stdio");
  int quits = 0;
  const std::shared_ptr<Mux> mux = Mux::Create(base, [this] { ++quits; }).value();
  const std::shared_ptr<Chardev> serial = mux->AddPort();
  const std::shared_ptr<Chardev> monitor = mux->AddPort();
  Recorder at_serial, at_monitor;

  void SetUp() override {
    ASSERT_TRUE(serial->Attach(at_serial.FrontEnd()));
    ASSERT_TRUE(monitor->Attach(at_monitor.FrontEnd()));
  }
};

TEST_F(MuxTest, InputGoesToTheFirstFrontEnd) {
  base->Type("ls\n");
  EXPECT_EQ(at_serial.data, "ls\n");
  EXPECT_EQ(at_monitor.data, "");
}

TEST_F(MuxTest, CtrlACSwitchesAndBack) {
  base->Type(
      "a\x01"
      "cinfo\x01"
      "cb");
  EXPECT_EQ(at_serial.data, "ab");
  EXPECT_EQ(at_monitor.data, "info");
  EXPECT_EQ(at_serial.focus, (std::vector<bool>{true, false, true}));
}

TEST_F(MuxTest, BothConnectAtOnce) {
  EXPECT_EQ(at_serial.connections, std::vector<bool>{true});
  EXPECT_EQ(at_monitor.connections, std::vector<bool>{true});
  base->Disconnect();
  EXPECT_EQ(at_monitor.connections, (std::vector<bool>{true, false}));
}

TEST_F(MuxTest, CtrlATwiceSendsOne) {
  base->Type("\x01\x01");
  EXPECT_EQ(at_serial.data, "\x01");
}

TEST_F(MuxTest, CtrlAXQuits) {
  base->Type("\x01x");
  EXPECT_EQ(quits, 1);
}

TEST_F(MuxTest, CtrlABIsABreakForTheOneInFocus) {
  base->Type(
      "\x01"
      "b");
  EXPECT_EQ(at_serial.breaks, 1);
  EXPECT_EQ(at_monitor.breaks, 0);
}

TEST_F(MuxTest, CtrlAHelpsAndRefusesToSave) {
  base->Type("\x01h\x01s");
  EXPECT_NE(base->written().find("C-a x    quit"), std::string::npos);
  EXPECT_NE(base->written().find("cannot be saved yet"), std::string::npos);
}

TEST_F(MuxTest, AnUnknownEscapeIsDropped) {
  base->Type("\x01z!");
  EXPECT_EQ(at_serial.data, "!");
}

TEST_F(MuxTest, OutputOfBothGoesOut) {
  EXPECT_EQ(WriteText(*serial, "one "), 4U);
  EXPECT_EQ(WriteText(*monitor, "two"), 3U);
  EXPECT_EQ(base->written(), "one two");
}

TEST_F(MuxTest, TimestampsBeginEveryLine) {
  base->Type("\x01t");
  EXPECT_EQ(WriteText(*serial, "a\nb"), 3U);
  EXPECT_EQ(WriteText(*serial, "c\nd"), 3U);
  const std::string stamp = base->written().substr(0, 15);
  EXPECT_EQ(stamp.substr(0, 10), "[00:00:00.");
  EXPECT_EQ(stamp.back(), ' ');
  const std::string& all = base->written();
  EXPECT_EQ(all.size(), 3 * stamp.size() + 6);
  EXPECT_EQ(all.substr(15, 2), "a\n");
  EXPECT_EQ(all.substr(32, 3), "bc\n");
  EXPECT_EQ(all.substr(50), "d");
}

TEST_F(MuxTest, ABusyBackendTakesAPartAndCallsBack) {
  base->SetWriteRoom(3);
  bool writable = false;
  EXPECT_EQ(WriteText(*serial, "hello"), 3U);
  serial->NotifyWritable([&] { writable = true; });
  base->SetWriteRoom(10);
  EXPECT_TRUE(writable);
  EXPECT_EQ(WriteText(*serial, "lo"), 2U);
  EXPECT_EQ(base->written(), "hello");
}

TEST_F(MuxTest, EscapesWorkWhileTheFrontEndIsBusy) {
  at_serial.room = 0;
  base->Type("typed ahead\x01x");
  EXPECT_EQ(quits, 1);
  EXPECT_EQ(at_serial.data, "");
  at_serial.room = 100;
  serial->AcceptInput();
  EXPECT_EQ(at_serial.data, "typed ahead");
}

TEST_F(MuxTest, AFloodWaitsInTheBackend) {
  at_serial.room = 0;
  base->Type(std::string(1000, 'x'));
  EXPECT_GT(base->undelivered(), 900U);
  at_serial.room = 2000;
  serial->AcceptInput();
  EXPECT_EQ(at_serial.data, std::string(1000, 'x'));
  EXPECT_EQ(base->undelivered(), 0U);
}

TEST_F(MuxTest, WhoDetachesLosesTheFocus) {
  serial->Detach();
  base->Type("q");
  EXPECT_EQ(at_monitor.data, "q");
}

TEST_F(MuxTest, OnePortTakesOneFrontEnd) {
  Recorder third;
  EXPECT_EQ(serial->Attach(third.FrontEnd()).error().code, Errc::kBusy);
}

}  // namespace
}  // namespace nandu
