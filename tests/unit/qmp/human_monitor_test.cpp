#include "qmp/human_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A place on a mux: it has no input until the mux says so.
class FakeMuxPort final : public Chardev {
 public:
  std::string written;
  FrontEnd front_end;

  const std::string& id() const override { return id_; }
  std::string filename() const override { return "mux"; }
  size_t Write(std::span<const std::byte> bytes) override {
    written.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return bytes.size();
  }
  void NotifyWritable(UniqueFunction<void()> /*on_writable*/) override {}
  Result<> Attach(FrontEnd attached) override {
    front_end = std::move(attached);
    front_end.connection(true);
    return {};
  }
  void Detach() override {}
  void AcceptInput() override {}
  bool connected() const override { return true; }

 private:
  const std::string id_ = "mux0";
};

class HumanMonitorTest : public ::testing::Test {
 protected:
  std::string Say(std::string_view text) {
    chardev->Type(text);
    return chardev->TakeWritten();
  }
  void Start() {
    ASSERT_TRUE(monitor.Start().has_value());
    chardev->TakeWritten();
  }

  FakeMachine machine;
  HumanCommands commands{machine, machine, machine, machine, machine};
  std::shared_ptr<FakeChardev> chardev = std::make_shared<FakeChardev>();
  HumanMonitor monitor{commands, chardev, /*shares_terminal=*/false};
};

TEST_F(HumanMonitorTest, GreetsEveryClient) {
  ASSERT_TRUE(monitor.Start().has_value());
  const std::string banner = "nandu 0.1.0 monitor - type 'help' for more information\r\n(qemu) ";
  EXPECT_EQ(chardev->TakeWritten(), banner);
  chardev->Disconnect();
  chardev->Connect();
  EXPECT_EQ(chardev->TakeWritten(), banner);
}

TEST_F(HumanMonitorTest, EchoesAndAnswers) {
  Start();
  EXPECT_EQ(Say("info status\r"), "info status\r\nVM status: running\r\n(qemu) ");
  machine.state = RunState::kIoError;
  EXPECT_EQ(Say("info status\n"), "info status\r\nVM status: paused (io-error)\r\n(qemu) ");
}

TEST_F(HumanMonitorTest, CrLfIsOneReturn) {
  Start();
  EXPECT_EQ(Say("\r\n"), "\r\n(qemu) ");
  EXPECT_EQ(Say("\n\n"), "\r\n(qemu) \r\n(qemu) ");
}

TEST_F(HumanMonitorTest, BackspaceErasesACharacter) {
  Start();
  EXPECT_EQ(Say("stopp\x7f"), "stopp\b \b");
  EXPECT_EQ(Say("\r"), "\r\n(qemu) ");
  EXPECT_THAT(machine.calls, ElementsAre("stop"));
  EXPECT_EQ(Say("\x7f"), "");
}

TEST_F(HumanMonitorTest, BackspaceErasesAWholeUtf8Character) {
  Start();
  EXPECT_EQ(Say("a\xc3\xb1\b\b"), "a\xc3\xb1\b \b\b \b");
  EXPECT_EQ(Say("\r"), "\r\n(qemu) ");
}

TEST_F(HumanMonitorTest, ControlKeysClearTheLine) {
  Start();
  EXPECT_EQ(Say("ab\x15"), "ab\b \b\b \b");
  EXPECT_EQ(Say("quit\x03"), "quit^C\r\n(qemu) ");
  EXPECT_EQ(Say("\r"), "\r\n(qemu) ");
  EXPECT_THAT(machine.calls, ElementsAre());
}

TEST_F(HumanMonitorTest, CursorKeysLeaveNothingBehind) {
  Start();
  EXPECT_EQ(Say("\x1b[A\x1b[1;5C\x1bOPstop\r"), "stop\r\n(qemu) ");
  EXPECT_THAT(machine.calls, ElementsAre("stop"));
}

TEST_F(HumanMonitorTest, CommandsReachTheMachine) {
  Start();
  Say("stop\rc\rsystem_reset\rsystem_powerdown\rq\r");
  EXPECT_THAT(machine.calls, ElementsAre("stop", "cont", "reset", "powerdown", "quit"));
}

TEST_F(HumanMonitorTest, ThePromptWaitsForTheCommand) {
  Start();
  machine.answer_later = true;
  EXPECT_EQ(Say("stop\rinfo name\r"), "stop\r\n");
  EXPECT_EQ(Say("more"), "");
  machine.FinishPending(Fail(Errc::kBusy, "a disk is stuck"));
  EXPECT_EQ(chardev->TakeWritten(), "Error: a disk is stuck\r\n(qemu) info name\r\nvm1\r\n(qemu) more");
}

TEST_F(HumanMonitorTest, AnswerToAClientThatLeftGoesNowhere) {
  Start();
  machine.answer_later = true;
  Say("stop\r");
  chardev->Disconnect();
  chardev->Connect();
  chardev->TakeWritten();
  machine.FinishPending();
  EXPECT_EQ(chardev->TakeWritten(), "");
  EXPECT_EQ(Say("info name\r"), "info name\r\nvm1\r\n(qemu) ");
}

TEST_F(HumanMonitorTest, WhatIsUnknownIsRefusedWithTheNearest) {
  Start();
  EXPECT_THAT(Say("system_rest\r"),
              HasSubstr("unknown command 'system_rest' (did you mean 'system_reset'?)"));
  EXPECT_THAT(Say("info stats\r"),
              HasSubstr("unknown topic 'stats' (did you mean 'status'?); type 'info' for the list"));
  EXPECT_THAT(Say("stop now\r"), HasSubstr("'stop' takes no parameters"));
  EXPECT_THAT(Say("help frobnicate\r"), HasSubstr("unknown command 'frobnicate'"));
  EXPECT_THAT(machine.calls, ElementsAre());
}

TEST_F(HumanMonitorTest, HelpListsCommandsAndTopics) {
  Start();
  EXPECT_THAT(Say("help\r"), HasSubstr("cont|c -- let the guest run\r\n"));
  EXPECT_EQ(Say("help stop\r"), "help stop\r\nstop|s -- let the guest stand still\r\n(qemu) ");
  EXPECT_THAT(Say("info\r"), HasSubstr("info version -- which nandu this is\r\n"));
  EXPECT_THAT(Say("info version\r"), HasSubstr("7.2.0 (nandu 0.1.0)\r\n"));
}

TEST_F(HumanMonitorTest, LinesAreBounded) {
  Start();
  const std::string echoed = Say(std::string(5000, 'x'));
  EXPECT_EQ(echoed, std::string(4096, 'x') + std::string(904, '\a'));
}

TEST_F(HumanMonitorTest, AClientThatReadsNothingIsDropped) {
  Start();
  chardev->SetWriteRoom(0);
  for (int i = 0; i < 4000; ++i) {
    chardev->Type("help\r");
  }
  EXPECT_FALSE(chardev->waits_for_room() && chardev->undelivered() > 0);
  chardev->Disconnect();
  chardev->SetWriteRoom(SIZE_MAX);
  chardev->Connect();
  EXPECT_THAT(chardev->TakeWritten(), ::testing::StartsWith("nandu 0.1.0 monitor"));
}

TEST(HumanMonitorOnAMux, ShowsNothingBeforeItHasTheInput) {
  FakeMachine machine;
  HumanCommands commands(machine, machine, machine, machine, machine);
  const auto mux = std::make_shared<FakeMuxPort>();
  HumanMonitor monitor(commands, mux, /*shares_terminal=*/true);
  ASSERT_TRUE(monitor.Start().has_value());
  EXPECT_EQ(mux->written, "");
  mux->front_end.focus(true);
  EXPECT_EQ(mux->written, "nandu 0.1.0 monitor - type 'help' for more information\r\n(qemu) ");
  mux->written.clear();
  mux->front_end.focus(false);
  mux->front_end.focus(true);
  EXPECT_EQ(mux->written, "\r\n(qemu) ");
}

TEST_F(HumanMonitorTest, PortsAreForwardedAndTakenAway) {
  Start();
  EXPECT_EQ(Say("hostfwd_add tcp::2222-:22\r").find("Error"), std::string::npos);
  EXPECT_THAT(Say("hostfwd_remove n tcp::2222\r"),
              HasSubstr("host forwarding rule for tcp::2222 removed\r\n"));
  EXPECT_THAT(machine.calls, ElementsAre("forward '' tcp::2222-:22", "unforward 'n' tcp::2222"));
  machine.forward_result = Fail(Errc::kNotFound, "nothing is there");
  EXPECT_THAT(Say("hostfwd_remove tcp::2222\r"),
              HasSubstr("host forwarding rule for tcp::2222 not found\r\n"));
  machine.forward_result = Fail(Errc::kBusy, "port in use");
  EXPECT_THAT(Say("hostfwd_add tcp::2222-:22\r"), HasSubstr("Error: port in use\r\n"));
  EXPECT_THAT(Say("hostfwd_add a b c\r"), HasSubstr("'hostfwd_add' takes [netdev] [tcp|udp]:"));
}

TEST_F(HumanMonitorTest, UserNetworksAreListed) {
  Start();
  EXPECT_THAT(Say("info usernet\r"), HasSubstr("Hub -1 (n):\r\n"));
}

}  // namespace
}  // namespace nandu::testing
