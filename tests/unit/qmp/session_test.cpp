#include "qmp/session.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "qmp/commands/machine.h"
#include "qmp/server.h"
#include "support/fake_chardev.h"
#include "unit/qmp/fake_machine.h"

namespace nandu::testing {

struct EchoArgs {
  std::string text;
  std::optional<int64_t> times;
};
BOOST_DESCRIBE_STRUCT(EchoArgs, (), (text, times))

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kGreeting =
    R"({"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": "nandu 0.1.0"}, "capabilities": ["oob"]}})"
    "\r\n";
constexpr std::string_view kDone = "{\"return\": {}}\r\n";

class QmpSessionTest : public ::testing::Test {
 protected:
  QmpSessionTest() {
    BindMachineCommands(server.registry(), machine, machine);
    server.registry().Bind<EchoArgs, std::string>(
        "echo", [](const EchoArgs& args, Reply<std::string> reply) { reply.Return(args.text); });
    server.registry().Bind<Nothing, Nothing>("fail", [](Nothing, Reply<Nothing> reply) {
      reply.Fail(QmpErrorClass::kDeviceNotFound, "no device 'x'");
    });
    server.registry().Bind<Nothing, Nothing>("forget", [](Nothing, const Reply<Nothing>&) {});
    server.registry().Bind<Nothing, Nothing>("now", [](Nothing, Reply<Nothing> reply) { reply.Return(); },
                                             {.allow_oob = true});
    server.registry().Bind<Nothing, std::string>(
        "talk", [](Nothing, Reply<std::string> reply) { reply.Return(std::string(600 << 10, 'x')); });
  }

  // A session whose client has negotiated.
  std::shared_ptr<FakeChardev> Negotiated() {
    auto chardev = std::make_shared<FakeChardev>();
    EXPECT_TRUE(server.AddSession(chardev).has_value());
    chardev->Type(R"({"execute": "qmp_capabilities"})");
    EXPECT_EQ(chardev->TakeWritten(), std::string(kGreeting) + std::string(kDone));
    return chardev;
  }
  std::string Say(FakeChardev& chardev, std::string_view text) {
    chardev.Type(text);
    return chardev.TakeWritten();
  }

  FakeMachine machine;
  QmpServer server{VersionInfoOf(machine.version()), [] { return int64_t{1'795'188'796'425'488'999}; },
                   nullptr};
};

// ---- greeting and negotiation ----

TEST_F(QmpSessionTest, GreetsOnceAClientIsThere) {
  auto chardev = std::make_shared<FakeChardev>("mon0", /*connected=*/false);
  ASSERT_TRUE(server.AddSession(chardev).has_value());
  EXPECT_EQ(chardev->written(), "");
  chardev->Connect();
  EXPECT_EQ(chardev->TakeWritten(), kGreeting);
}

TEST_F(QmpSessionTest, CommandsBeforeNegotiationAreRefused) {
  auto chardev = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(chardev).has_value());
  chardev->TakeWritten();
  EXPECT_EQ(
      Say(*chardev, R"({"execute": "query-status"})"),
      "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"capabilities are negotiated first: send "
      "'qmp_capabilities'\"}}\r\n");
}

TEST_F(QmpSessionTest, NegotiationHappensOnce) {
  auto chardev = Negotiated();
  EXPECT_EQ(Say(*chardev, R"({"execute": "qmp_capabilities"})"),
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"capabilities have been negotiated "
            "already\"}}\r\n");
}

TEST_F(QmpSessionTest, UnknownCapabilityIsRefusedAndNegotiationStaysOpen) {
  auto chardev = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(chardev).has_value());
  chardev->TakeWritten();
  EXPECT_THAT(Say(*chardev, R"({"execute": "qmp_capabilities", "arguments": {"enable": ["fast"]}})"),
              HasSubstr("arguments.enable[0]: 'fast' is none of oob"));
  EXPECT_EQ(Say(*chardev, R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})"), kDone);
}

TEST_F(QmpSessionTest, EveryClientIsGreetedAndNegotiatesAfresh) {
  auto chardev = Negotiated();
  chardev->Disconnect();
  chardev->Connect();
  EXPECT_EQ(chardev->TakeWritten(), kGreeting);
  EXPECT_THAT(Say(*chardev, R"({"execute": "query-status"})"), HasSubstr("CommandNotFound"));
}

TEST_F(QmpSessionTest, BusyChardevIsRefused) {
  auto chardev = Negotiated();
  EXPECT_EQ(server.AddSession(chardev).error().message,
            "monitor on chardev 'fake': chardev 'fake' is already in use");
}

// ---- commands ----

TEST_F(QmpSessionTest, IdIsEchoedWhateverItIs) {
  auto chardev = Negotiated();
  EXPECT_EQ(Say(*chardev, R"({"execute": "echo", "arguments": {"text": "hi"}, "id": "libvirt-1"})"),
            "{\"return\": \"hi\", \"id\": \"libvirt-1\"}\r\n");
  EXPECT_EQ(Say(*chardev, R"({"id": {"a": [1, 2.5, null]}, "execute": "fail"})"),
            "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no device 'x'\"}, \"id\": {\"a\": [1, "
            "2.5, null]}}\r\n");
}

TEST_F(QmpSessionTest, ErrorsHaveTheirClassAndName) {
  auto chardev = Negotiated();
  const auto refusal = [&](std::string_view text) {
    const boost::json::value line = *ParseJson(Say(*chardev, text));
    const boost::json::object& error = line.as_object().at("error").as_object();
    return std::string(error.at("class").as_string()) + ": " + std::string(error.at("desc").as_string());
  };
  EXPECT_EQ(refusal(R"({"execute": "nosuch"})"), "CommandNotFound: there is no command 'nosuch'");
  EXPECT_EQ(refusal(R"({"execute": "echo"})"), "GenericError: arguments: member 'text' is missing");
  EXPECT_EQ(refusal(R"({"execute": "echo", "arguments": {"text": 1}})"),
            "GenericError: arguments.text: expected string, not number");
  EXPECT_EQ(refusal(R"({"execute": "echo", "arguments": {"txt": "", "text": ""}})"),
            "GenericError: arguments: unknown member 'txt' (did you mean 'text'?)");
  EXPECT_EQ(refusal(R"({"execute": "stop", "arguments": []})"),
            "GenericError: a command's 'arguments' must be an object");
  EXPECT_EQ(refusal(R"({"execute": 1})"), "GenericError: a command's 'execute' must be a string");
  EXPECT_EQ(refusal(R"({"foo": 1})"), "GenericError: a command has no member 'foo'");
  EXPECT_EQ(refusal("{}"), "GenericError: a command needs a member 'execute'");
  EXPECT_EQ(refusal("[1]"), "GenericError: a command must be a JSON object");
  EXPECT_EQ(refusal("123\n"), "GenericError: a command must be a JSON object");
  EXPECT_EQ(refusal(R"({"execute": "stop", "execute": "cont"})"),
            "GenericError: JSON text at byte 28: duplicate key 'execute'");
  EXPECT_EQ(refusal(R"({"exec-oob": "now"})"), "GenericError: a command has no member 'exec-oob'");
  EXPECT_THAT(machine.calls, ElementsAre());
}

TEST_F(QmpSessionTest, SeveralCommandsInOneBufferAreAnsweredInOrder) {
  auto chardev = Negotiated();
  std::string all;
  std::string answers;
  for (int i = 0; i < 30; ++i) {
    all += Format("{{'execute':'echo','arguments':{{'text':'{}'}}}}", i);
    answers += Format("{{\"return\": \"{}\"}}\r\n", i);
  }
  EXPECT_EQ(Say(*chardev, all), answers);
}

TEST_F(QmpSessionTest, OneCommandRunsAtATime) {
  auto chardev = Negotiated();
  machine.answer_later = true;
  EXPECT_EQ(Say(*chardev, R"({"execute":"stop","id":1}{"execute":"query-status","id":2})"), "");
  machine.FinishPending();
  EXPECT_EQ(
      chardev->TakeWritten(),
      "{\"return\": {}, \"id\": 1}\r\n"
      "{\"return\": {\"running\": false, \"singlestep\": false, \"status\": \"paused\"}, \"id\": 2}\r\n");
}

TEST_F(QmpSessionTest, ASlowCommandStopsTheReadingOfMore) {
  auto chardev = Negotiated();
  machine.answer_later = true;
  chardev->Type(R"({"execute":"stop"})");
  for (int i = 0; i < 20; ++i) {
    chardev->Type(R"({"execute":"now"})");
  }
  EXPECT_EQ(chardev->undelivered(), 12 * std::string_view(R"({"execute":"now"})").size());
  machine.FinishPending();
  EXPECT_EQ(chardev->undelivered(), 0U);
  EXPECT_EQ(chardev->TakeWritten().size(), 21 * kDone.size());
}

TEST_F(QmpSessionTest, OutOfBandOvertakes) {
  auto chardev = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(chardev).has_value());
  chardev->Type(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})");
  machine.answer_later = true;
  chardev->Type(R"({"execute":"stop","id":1}{"execute":"query-status","id":2})");
  chardev->TakeWritten();
  EXPECT_EQ(Say(*chardev, R"({"exec-oob":"now","id":3})"), "{\"return\": {}, \"id\": 3}\r\n");
  EXPECT_THAT(Say(*chardev, R"({"exec-oob":"query-status","id":4})"), HasSubstr("cannot overtake"));
  machine.FinishPending();
  EXPECT_THAT(chardev->TakeWritten(), HasSubstr("\"id\": 2"));
}

TEST_F(QmpSessionTest, MalformedOutOfBandDoesNotBlockTheNext) {
  auto chardev = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(chardev).has_value());
  chardev->Type(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})");
  chardev->Type(R"({"exec-oob":"now","extra":1})");
  chardev->TakeWritten();
  EXPECT_EQ(Say(*chardev, R"({"execute":"now"})"), kDone);
}

TEST_F(QmpSessionTest, UnansweredReplyAnswersItself) {
  auto chardev = Negotiated();
  EXPECT_THAT(Say(*chardev, R"({"execute":"forget"})"),
              HasSubstr("the command was given up before it was done"));
}

TEST_F(QmpSessionTest, LateAnswerToAClientThatLeftGoesNowhere) {
  auto chardev = Negotiated();
  machine.answer_later = true;
  chardev->Type(R"({"execute":"stop"})");
  chardev->Disconnect();
  chardev->Connect();
  machine.FinishPending();
  EXPECT_EQ(chardev->TakeWritten(), kGreeting);
}

TEST_F(QmpSessionTest, LateAnswerToASessionThatIsGoneGoesNowhere) {
  auto chardev = std::make_shared<FakeChardev>();
  {
    QmpSession session(server.registry(), chardev, {.version = {}});
    ASSERT_TRUE(session.Start().has_value());
    machine.answer_later = true;
    chardev->Type(R"({"execute":"qmp_capabilities"}{"execute":"stop"})");
  }
  chardev->TakeWritten();
  machine.FinishPending();
  EXPECT_EQ(chardev->TakeWritten(), "");
  EXPECT_FALSE(chardev->attached());
}

// ---- clients that misbehave ----

TEST_F(QmpSessionTest, CommandLongerThanItsBoundIsRefusedAndTheNextServed) {
  auto chardev = std::make_shared<FakeChardev>();
  QmpSession session(server.registry(), chardev, {.version = {}, .limits = {.max_command_bytes = 100}});
  ASSERT_TRUE(session.Start().has_value());
  chardev->TakeWritten();
  EXPECT_THAT(Say(*chardev, R"({"execute": ")" + std::string(200, 'x') + "\n"),
              HasSubstr("longer than 100 bytes"));
  EXPECT_THAT(Say(*chardev, R"({"execute": "qmp_capabilities"})"), HasSubstr("return"));
}

TEST_F(QmpSessionTest, ShortWritesLoseNothing) {
  auto chardev = Negotiated();
  chardev->SetWriteRoom(5);
  chardev->Type(R"({"execute":"now"})");
  EXPECT_EQ(chardev->written(), kDone.substr(0, 5));
  chardev->SetWriteRoom(1000);
  EXPECT_EQ(chardev->TakeWritten(), kDone);
}

TEST_F(QmpSessionTest, WhoReadsNoAnswersGetsNoMoreCommandsRun) {
  auto chardev = Negotiated();
  chardev->SetWriteRoom(0);
  for (int i = 0; i < 12; ++i) {
    chardev->Type(R"({"execute":"talk"})");
  }
  EXPECT_GT(chardev->undelivered(), 0U);
  chardev->SetWriteRoom(SIZE_MAX);
  EXPECT_EQ(chardev->undelivered(), 0U);
  EXPECT_EQ(chardev->TakeWritten().size(),
            12 * ((600U << 10) + std::string_view("{\"return\": \"\"}\r\n").size()));
}

TEST_F(QmpSessionTest, AClientThatReadsNoEventsIsDroppedAndTheOthersHearThem) {
  auto deaf = std::make_shared<FakeChardev>();
  auto other = std::make_shared<FakeChardev>();
  QmpSession deaf_session(server.registry(), deaf,
                          {.version = {}, .limits = {.max_answer_bytes_waiting = 100}});
  QmpSession other_session(server.registry(), other, {.version = {}});
  ASSERT_TRUE(deaf_session.Start().has_value());
  ASSERT_TRUE(other_session.Start().has_value());
  deaf->Type(R"({"execute": "qmp_capabilities"})");
  other->Type(R"({"execute": "qmp_capabilities"})");
  deaf->TakeWritten();
  other->TakeWritten();
  deaf->SetWriteRoom(0);
  for (int i = 0; i < 10; ++i) {
    deaf_session.SendEvent({{"event", "STOP"}});
    other_session.SendEvent({{"event", "STOP"}});
  }
  EXPECT_EQ(deaf_session.clients_dropped(), 1U);
  EXPECT_EQ(other->TakeWritten().size(), 10 * std::string_view("{\"event\": \"STOP\"}\r\n").size());

  deaf->SetWriteRoom(SIZE_MAX);
  EXPECT_EQ(Say(*deaf, R"({"execute":"now"})"), "");
  deaf->Disconnect();
  deaf->Connect();
  EXPECT_THAT(deaf->TakeWritten(), ::testing::StartsWith("{\"QMP\""));
}

// ---- events ----

TEST_F(QmpSessionTest, EventsCarryTheTimeAndGoToTheNegotiatedOnly) {
  auto first = Negotiated();
  auto second = Negotiated();
  auto silent = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(silent).has_value());
  silent->TakeWritten();
  server.Emit("STOP", {});
  server.Emit("RESET", {{"guest", false}, {"reason", "host-qmp-system-reset"}});
  const std::string events =
      "{\"timestamp\": {\"seconds\": 1795188796, \"microseconds\": 425488}, \"event\": \"STOP\"}\r\n"
      "{\"timestamp\": {\"seconds\": 1795188796, \"microseconds\": 425488}, \"event\": \"RESET\", \"data\": "
      "{\"guest\": "
      "false, \"reason\": \"host-qmp-system-reset\"}}\r\n";
  EXPECT_EQ(first->TakeWritten(), events);
  EXPECT_EQ(second->TakeWritten(), events);
  EXPECT_EQ(silent->TakeWritten(), "");
}

TEST_F(QmpSessionTest, PrettyLinesEndInCrLfToo) {
  auto chardev = std::make_shared<FakeChardev>();
  ASSERT_TRUE(server.AddSession(chardev, /*pretty=*/true).has_value());
  chardev->TakeWritten();
  EXPECT_EQ(Say(*chardev, R"({"execute":"qmp_capabilities","id":1})"),
            "{\r\n    \"return\": {},\r\n    \"id\": 1\r\n}\r\n");
}

}  // namespace
}  // namespace nandu::testing
